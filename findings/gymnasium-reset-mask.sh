#!/usr/bin/env bash
# gymnasium: resetting some environments of a vector twice with one `options` dictionary resets all the second time.
#
# With autoreset_mode DISABLED, `reset(options={"reset_mask": mask})` begins new episodes where the mask says so.
# SyncVectorEnv and AsyncVectorEnv take the mask out of the caller's dictionary (`options.pop`), so that a second
# call with the same dictionary has no mask: every environment is reset, in the middle of its episode, without a
# word. Give each call a dictionary of its own. Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "gymnasium>=1.1"
"$folder/venv/bin/python" - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

print(f"gymnasium {gymnasium.__version__}")
for mode in ("sync", "async"):
    envs = gymnasium.make_vec(
        "Pendulum-v1", 2, vectorization_mode=mode, vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED}
    )
    envs.reset(seed=0)
    before = envs.step(np.zeros((2, 1), np.float32))[0]
    options = {"reset_mask": np.array([True, False])}
    first = envs.reset(seed=[1, 2], options=options)[0]
    second = envs.reset(seed=[1, 2], options=options)[0]
    kept = [bool((one[1] == before[1]).all()) for one in (first, second)]
    print(f"{mode}: options is now {options}; the second environment was kept: {kept}")
    assert kept == [True, False] and options == {}
    envs.close()
PYTHON
