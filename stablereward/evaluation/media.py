"""The pictures that a benchmark's rows name: image files, and videos as folders of their frames."""

from collections.abc import Iterable
from pathlib import Path

from stablereward.errors import DataError
from stablereward.images import frames
from stablereward.types import Message, Part, pictured


class Pictures:
    """Finds the pictures of one row."""

    def __init__(self, root: Path, where: str, *, require_images: bool) -> None:
        self._root = root
        self._where = where
        self._require_images = require_images

    def image(self, name: str) -> tuple[Path, ...]:
        """An image file, or the frames in a folder.

        Raises `DataError` where images are required and it does not exist.
        """
        path = self._root / name
        if path.is_dir():
            return frames(path, self._where)
        if self._require_images and not path.is_file():
            raise DataError(
                f"{self._where}: image {str(path)[:300]!r} does not exist; name the folder that paths "
                "start from (images_root); of a video, give a folder of its frames"
            )
        return (path,)

    def video(self, name: str) -> tuple[Path, ...]:
        """The frames of a video, in the folder of the video's name without its ending."""
        return self.image(str(Path(name).with_suffix("")))

    def response(self, content: Iterable[tuple[str, str]]) -> Message:
        """A response whose texts, `("text", words)`, and pictures, `("image", path)`, stand line by line."""
        parts: list[Part] = []
        for kind, value in content:
            found: tuple[Part, ...] = (value,) if kind == "text" else self.image(value)
            parts += ["\n", *found] if parts else found
        return pictured(*parts)

    def named(self, content: Iterable[tuple[str, str]]) -> tuple[str, tuple[Path, ...]]:
        """The same of a question: its text, which names the pictures by number, and the pictures."""
        images: tuple[Path, ...] = ()
        lines = []
        for kind, value in content:
            if kind == "image":
                first, images = len(images) + 1, (*images, *self.image(value))
                value = f"[Image {first}]" if len(images) == first else f"[Images {first} to {len(images)}]"
            lines.append(value)
        return "\n".join(lines), images
