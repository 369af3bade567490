"""Responses that are images or videos, as a `Preference` whose texts name them by number.

The images of both responses go into `Preference.images`, those of the first response first, and the responses
read "[Image 1]", "[Images 2 to 17]". Showing the responses in reverse order therefore swaps their names and
texts; the images stay where they are.
"""

from collections.abc import Iterable
from pathlib import Path

from stablereward.errors import DataError
from stablereward.images import frames

UNBALANCED = (
    "position is not balanced: the responses are pictures, and showing them in another order swaps their "
    "names and leaves the pictures where they are"
)
"""What bears on every figure of a judge on such preferences that depends on the order shown."""


class Gallery:
    """The images of one preference, and the texts that name them."""

    def __init__(self, root: Path, where: str, *, require_images: bool) -> None:
        self.images: tuple[Path, ...] = ()
        self._root = root
        self._where = where
        self._require_images = require_images

    def image(self, name: str) -> str:
        """Adds an image file or a folder of frames; the text that stands for it.

        Raises `DataError` where images are required and it does not exist.
        """
        path = self._root / name
        if path.is_dir():
            added = frames(path, self._where)
        elif self._require_images and not path.is_file():
            raise DataError(
                f"{self._where}: image {str(path)[:300]!r} does not exist; name the folder that paths "
                "start from (images_root); of a video, give a folder of its frames"
            )
        else:
            added = (path,)
        first = len(self.images) + 1
        self.images += added
        return f"[Image {first}]" if len(added) == 1 else f"[Images {first} to {len(self.images)}]"

    def video(self, name: str) -> str:
        """Adds the frames of a video, in the folder of the video's name without its ending."""
        return self.image(str(Path(name).with_suffix("")))

    def content(self, parts: Iterable[tuple[str, str]]) -> str:
        """Adds what is interleaved, `("text", words)` or `("image", path)`, as one text."""
        return "\n".join(value if kind == "text" else self.image(value) for kind, value in parts)
