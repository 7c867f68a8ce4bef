"""In charge of the demo that the attempts over real connections share: started once, when the first one needs it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.attack.running_demo import Demo, running_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("attacked-demo")) as running:
        yield running


@pytest.fixture
def owner(demo: Demo) -> dict[str, Any]:
    """Variables that name a person of Yinchuan who has a phone."""
    return {"id": demo.world.person("owner").id_number}
