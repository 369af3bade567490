"""Options that several verbs have: which judge, and where its images are."""

from pathlib import Path
from typing import Annotated

import typer

ImagesRoot = Annotated[Path | None, typer.Option(help="Where image paths in the file start.")]
Model = Annotated[str | None, typer.Option(help="A model folder (a judge or a reward model), or `toy`.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; without it, a GPU if there is one.")]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server in place of a model.")
]
ServerModel = Annotated[str | None, typer.Option(help="The model's name at the server.")]
ApiKeyEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Environment variable that holds the server's key.")
]
MaxCompletionLength = Annotated[int, typer.Option(min=1, help="Tokens of one opinion.")]
