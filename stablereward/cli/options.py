"""Options that several verbs have: which judge, how it is asked, and where its images are."""

from pathlib import Path
from typing import Annotated

import typer

MAX_VOTES = 1000
"""Every opinion is a request or a sample in memory; the papers take 15."""

ImagesRoot = Annotated[Path | None, typer.Option(help="Where image paths in the file start.")]
Model = Annotated[str | None, typer.Option(help="A model folder (a judge or a reward model), or `toy`.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; without it, a GPU if there is one.")]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server in place of a model.")
]
ServerModel = Annotated[str | None, typer.Option(help="The model's name at the server.")]
ServerExtra = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="A field of each request, such as top_k=20; null leaves one out."
    ),
]
ApiKeyEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Environment variable that holds the server's key.")
]
Timeout = Annotated[
    float,
    typer.Option(min=0.1, metavar="SECONDS", help="For one answer of a server, before it is asked again."),
]
Votes = Annotated[
    int, typer.Option(min=1, max=MAX_VOTES, help="Opinions for each order shown; one is greedy.")
]
MaxCompletionLength = Annotated[int, typer.Option(min=1, help="Tokens of one opinion.")]
ResponseImages = Annotated[
    list[str] | None,
    typer.Option(
        "--response-image",
        metavar="PATH",
        help="A response that is a picture, or a folder of a clip's frames; they come after --response.",
    ),
]
