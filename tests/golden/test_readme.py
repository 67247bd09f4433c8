"""What the README shows is what the commands print."""

from pathlib import Path

from nmhw.api.demo import deploy_demo, load_demo_images

ROOT = Path(__file__).parents[2]


def test_the_report_in_the_readme_is_the_demos():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("What `make demo` prints")[1].split("```\n")[1]
    images = load_demo_images()
    run = deploy_demo("loihi1-nahuku").run(images.events, images.labels)
    assert shown.rstrip() == run.report().rstrip()


def test_every_linked_page_exists():
    import re

    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
