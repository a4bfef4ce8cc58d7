"""Makes the pictures of the page for README.md and docs/results.md, from the demo character in a headless Chromium.

    PYTHONPATH=tests python tests/web/make_pictures.py

It starts a server of its own and takes about two minutes without a graphics card. The differences are those that
the last run of tests/web/test_drawing.py kept.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers.as_sent import frames_of, welcome_of
from helpers.browser import Browser, Page, find_chromium
from PIL import Image

from gstalker.bridge.codec import encode
from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.bridge.web.server import start_web
from gstalker.runtime.bundle import AvatarBundle

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
ADDRESS = "tcp://127.0.0.1:5675"
SPOKEN = range(2, 76, 2)  # of the demo's sentence: every other frame of three seconds
SIZE_PX = 320

SET_UP = f"""(async () => {{
  const {{ SplatView }} = await import('/drawing/splat_view.js');
  const {{ ServedAvatar }} = await import('/avatar/served_avatar.js');
  const {{ fitted }} = await import('/drawing/projection.js');
  const {{ decode }} = await import('/wire/codec.js');
  const avatar = new ServedAvatar(decode(welcomeBytes));
  document.body.innerHTML = '<canvas></canvas>';
  const view = await SplatView.create(document.querySelector('canvas'));
  view.resize({SIZE_PX}, {SIZE_PX});
  view.setAvatar(avatar.count, avatar.welcome.sh_coeffs);
  const {{ K, picture }} = fitted(avatar.camera, {SIZE_PX}, {SIZE_PX});
  view.setCamera(K, avatar.camera.cameraFromAvatar);
  view.backdrop.showPicture(avatar.welcome.plate, avatar.camera.widthPx, avatar.camera.heightPx);
  view.backdrop.place(picture, view.canvas);
  window.drawn = async () => {{
    for (let settled = 0; settled < 4; settled = view.settled ? settled + 1 : 0) {{
      view.fill(avatar.cloudOf(decode(frameBytes)));
      view.draw();
      for (const before = view.framesDrawn; view.framesDrawn === before; ) await new Promise(requestAnimationFrame);
    }}
    return view.readPixels();
  }};
}})()"""


def animation(page: Page) -> None:
    """The character saying a part of its sentence, drawn by the engine: browser_speaking.webp."""
    bundle_path, speech = demo_avatar()
    bundle = AvatarBundle.open(bundle_path)
    page.give("welcomeBytes", bytes(encode(welcome_of(bundle))))
    page.evaluate(SET_UP)
    pictures = []
    for frame in frames_of(bundle, speech, list(SPOKEN)):
        page.give("frameBytes", bytes(encode(frame)))
        rgba = np.frombuffer(page.take("drawn()"), np.uint8).reshape(SIZE_PX, SIZE_PX, 4)
        pictures.append(Image.fromarray(rgba[..., :3]))
    path = PICTURES / "browser_speaking.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80, loop=0, quality=70, method=6)
    print(f"{path}: {path.stat().st_size} bytes")


def whole_page(page: Page) -> None:
    """The page as a newcomer sees it, and the comparison: browser.jpg."""
    page.resize(1180, 760)
    page.wait_for("window.gstalker?.stage.shown", timeout_s=120)
    page.evaluate("gstalker.stage.fixedSharpness = true; gstalker.stage.sharpness = 1; gstalker.stage.redraw()")
    page.wait_for("gstalker.speech.speaking")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = d.id === 'drawing-group'; })")
    page.evaluate("document.getElementById('emotion-group').open = true")
    page.evaluate("document.getElementById('compare').click()")
    page.wait_for("gstalker.comparison.result", timeout_s=120)
    page.evaluate("new Promise((done) => setTimeout(done, 3000))")
    path = page.screenshot(PICTURES / "browser.png")
    Image.open(path).convert("RGB").save(PICTURES / "browser.jpg", quality=88)
    path.unlink()
    print(f"{PICTURES / 'browser.jpg'}: {(PICTURES / 'browser.jpg').stat().st_size} bytes")


def differences() -> None:
    """Engine, reference and 32 times their difference for the five cameras: browser_differences.jpg."""
    kept = Path(__file__).resolve().parents[2] / "out" / "tests" / "web"
    rows = [Image.open(kept / f"drawing {name}.png") for name in ("own", "left", "right", "above", "off centre")]
    whole = Image.new("RGB", (3 * 256, 256 * len(rows)))
    for number, row in enumerate(rows):
        whole.paste(
            row.resize((3 * 256, 256), Image.Resampling.LANCZOS) if row.size != (768, 256) else row, (0, 256 * number)
        )
    path = PICTURES / "browser_differences.jpg"
    whole.save(path, quality=88)
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> int:
    """Make them."""
    differences()
    executable = find_chromium()
    if executable is None:
        print("no Chromium found", file=sys.stderr)
        return 2
    bundle, speech = demo_avatar()
    command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(bundle), "--address", ADDRESS]
    server = subprocess.Popen([*command, "--audio", str(speech), "--loop"], stdout=subprocess.DEVNULL)
    try:
        with start_web(ADDRESS, port=0) as web, Browser(executable) as browser:
            page = browser.page(web.url)
            whole_page(page)
            page.close()
            animation(browser.page(web.url + "licences.html"))
    finally:
        server.terminate()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
