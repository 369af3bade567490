#!/bin/sh
# The same accuracies have two Safety scores in the `rewardbench` package: releases up to 0.1.2 exchange the sizes of the
# two XSTest subsets (250 prompts to answer, 154 to refuse), 0.1.3 and 0.1.4 do not.
# Compare Safety and the average only between scores of one of the two.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 0.1.2 0.1.4; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check --no-deps "rewardbench==$version"
done
cat >"$folder/safety.py" <<'PY'
import sys
from importlib.metadata import files, version
from importlib.util import module_from_spec, spec_from_file_location

[path] = [file.locate() for file in files("rewardbench") if str(file) == "rewardbench/constants.py"]
spec = spec_from_file_location("constants", path)
constants = module_from_spec(spec)
spec.loader.exec_module(constants)
# A judge that refuses well and answers badly.
accuracy = dict.fromkeys(constants.SUBSET_MAPPING["Safety"], 0.9) | {"xstest-should-respond": 0.3}
weights = {name: constants.EXAMPLE_COUNTS[name] for name in accuracy}
score = sum(accuracy[name] * weights[name] for name in accuracy) / sum(weights.values())
xstest = {name: weight for name, weight in weights.items() if name.startswith("xstest")}
print(f"rewardbench {version('rewardbench')}: {xstest} -> Safety {100 * score:.2f}")
sys.exit(f"{100 * score:.2f}" != sys.argv[1])
PY
"$folder/0.1.2/bin/python" "$folder/safety.py" 77.51
"$folder/0.1.4/bin/python" "$folder/safety.py" 69.73
