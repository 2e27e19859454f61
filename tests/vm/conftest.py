"""What all tests in the test machine need."""

import pytest

from core.errors import ToolMissing

from .build import Image, ImageMissing, build


@pytest.fixture(scope="session")
def image() -> Image:
    """The machine's root and kernel; without qemu or the packages the tests are skipped."""
    try:
        return build()
    except (ToolMissing, ImageMissing) as error:
        pytest.skip(error.paragraph())
