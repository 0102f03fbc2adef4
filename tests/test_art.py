"""The drawings and their twins: what a mobile phone sees is what everybody else sees."""

import colorsys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from storefront import art
from storefront.art import ART

DRAWINGS = sorted(ART.glob("*.svg"))
MAIN = 30  # pixels of a surface that one sees
NEAR = 24  # of 255, in each part of a colour: what nobody would call another one

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="96" height="96">
<rect width="96" height="96" rx="20" fill="#d9e8f2"/><circle cx="48" cy="48" r="30" fill="#3f6494"/>
<circle cx="48" cy="48" r="4" fill="#d9634a"/></svg>"""


def strays(drawing: Path, gif: Path) -> list[str]:
    """The main colours of a drawing that its twin shows as others."""
    picture, twin = art.rasterised(drawing), Image.open(gif).convert("RGB")
    lost = []
    for colour, pixels in art.surfaces(picture):
        if pixels >= MAIN:
            places = [at for at in _places(picture) if picture.getpixel(at) == (*colour, 255)]
            seen = [twin.getpixel(at) for at in places]
            shown = tuple(sum(parts) // len(parts) for parts in zip(*seen, strict=True))
            if any(abs(one - other) > NEAR for one, other in zip(colour, shown, strict=True)):
                lost.append(f"{_hex(colour)} is shown as {_hex(shown)}")
    return lost


def _places(picture: Image.Image) -> list[tuple[int, int]]:
    return [(x, y) for x in range(picture.width) for y in range(picture.height)]


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


@pytest.mark.long
@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda path: path.stem)
def test_a_twin_has_the_colours_of_its_drawing(drawing: Path) -> None:
    """Each surface that one sees has its own colour: red bands are red, a flame is a flame."""
    assert strays(drawing, drawing.with_suffix(".gif")) == [], "run `storefront art`"


@pytest.mark.long
@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda path: path.stem)
def test_a_twin_stands_on_its_tile(drawing: Path) -> None:
    """The largest surface has exactly its colour, and the tile reaches into its corners, by night, too."""
    picture, twin = art.rasterised(drawing), Image.open(drawing.with_suffix(".gif")).convert("RGBA")
    assert twin.size == picture.size
    assert art.surfaces(twin)[0][0] == art.surfaces(picture)[0][0]
    seen, drawn = twin.getpixel((0, 0)), picture.getpixel((0, 0))
    assert seen == drawn or seen[3] == drawn[3] == 0  # type: ignore[index]
    assert drawn[3] == (0 if drawing.stem == "point" else 255)  # type: ignore[index]


def test_small_reds_stay_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`storefront art` draws the twins, and a small surface keeps its colour beside large ones."""
    monkeypatch.setattr(art, "ART", tmp_path)
    (tmp_path / "buoy.svg").write_text(DRAWING)
    done = CliRunner().invoke(art.art)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "buoy.gif").read_bytes().startswith(b"GIF8")
    assert strays(tmp_path / "buoy.svg", tmp_path / "buoy.gif") == []
    red, green, blue = Image.open(tmp_path / "buoy.gif").convert("RGB").getpixel((48, 48))  # type: ignore[misc]
    assert colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[1] > 0.6


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="{}" height="{}">{}</svg>'


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ('<text x="9" y="48">a</text>', "<text cannot be drawn"),
        ('<image href="sea.png" width="9" height="9"/>', "<image cannot be drawn"),
        ('<rect width="96" height="96" fill="var(--sea)"/>', "var( cannot be drawn"),
        ("", "nothing is drawn"),
        ('<rect width="96"', "at 1:100"),
    ],
)
def test_what_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes: str, said: str
) -> None:
    """A drawing whose twin would show something else, or nothing, is named, and gets none."""
    monkeypatch.setattr(art, "ART", tmp_path)
    (tmp_path / "sea.svg").write_text(SVG.format(96, 96, shapes))
    done = CliRunner().invoke(art.art)
    assert done.exit_code == 1
    assert "sea.svg: " in done.output
    assert said in done.output
    assert not (tmp_path / "sea.gif").exists()


def test_a_large_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing of any size has a twin that fits its tile."""
    monkeypatch.setattr(art, "ART", tmp_path)
    (tmp_path / "sea.svg").write_text(SVG.format(512, 512, '<rect width="96" height="96" fill="#3f6494"/>'))
    assert CliRunner().invoke(art.art).exit_code == 0
    assert Image.open(tmp_path / "sea.gif").size == (96, 96)


def test_without_what_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed the command says how to have it."""
    monkeypatch.setattr(art, "IS_INSTALLED", False)
    done = CliRunner().invoke(art.art)
    assert done.exit_code == 1
    assert "install -e '.[art]'" in done.output
