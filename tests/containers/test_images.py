"""Is an image made from its recipe, and made anew only where the recipe has changed?"""

from __future__ import annotations

from contextlib import closing

import docker

from fixtures.containers.engine import Found
from fixtures.containers.images import Recipe, made

NAME = "watchkeeper/test-recipe:1"


def test_an_image_is_made_once(engine: Found) -> None:
    """The same recipe gives the image that is there; other lines or files give another."""
    recipe = Recipe(NAME, ("COPY greeting /greeting",), {"greeting": b"hello\n"})
    with closing(docker.DockerClient(engine.address)) as client:
        try:
            first = client.images.get(made(engine, recipe)).id
            assert client.containers.run(NAME, ["cat", "/greeting"], remove=True) == b"hello\n"
            assert client.images.get(made(engine, recipe)).id == first
            changed = Recipe(NAME, recipe.lines, {"greeting": b"good morning\n"})
            assert client.images.get(made(engine, changed)).id != first
            assert client.containers.run(NAME, ["cat", "/greeting"], remove=True) == (
                b"good morning\n"
            )
        finally:
            client.images.remove(NAME)
            client.images.prune(filters={"label": "org.watchkeeper.inputs"})
