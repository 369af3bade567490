"""`stablereward recipes`: what can be trained."""

from stablereward.recipes.found import described


def recipes() -> None:
    """List the recipes, each a paper's method with its settings."""
    known = described()
    width = max(len(name) for name in known)
    for name, description in known.items():
        print(f"{name:<{width}}  {description}")
