"""The whole text of a small demo: any change of the report or of a number shows here.

To accept a change: NMHW_UPDATE_GOLDEN=1 pytest tests/golden/test_demo_report.py; read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

from nmhw.api.demo import deploy_demo, load_demo_images

STORED = Path(__file__).parent / "demo_20_samples.txt"


def test_the_demo_of_20_images_prints_the_stored_report() -> None:
    images = load_demo_images(20)
    text = deploy_demo("loihi1-nahuku").run(images.events, images.labels).report()
    if os.environ.get("NMHW_UPDATE_GOLDEN"):
        STORED.write_text(text, encoding="utf-8")
    assert text == STORED.read_text(encoding="utf-8")
