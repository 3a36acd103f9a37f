"""A real headless Chromium, spoken to over its debugging pipe: console, requests, screenshots."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--remote-debugging-pipe")


def _high(descriptor: int) -> int:
    """The descriptor moved to a number of at least 10."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class Browser:
    """One page in a browser of its own. `events` holds every message the page has sent so far."""

    def __init__(self, *switches: str) -> None:
        self.switches = switches
        self.folder = tempfile.mkdtemp(prefix="crowdmood-chromium-")
        self.events: list[dict[str, Any]] = []
        self.count = 0

    def __enter__(self) -> Browser:
        # Chromium reads commands from descriptor 3 and answers on 4; from high numbers neither move hits the other.
        from_us, self.send_end = map(_high, os.pipe())
        self.receive_end, to_us = map(_high, os.pipe())
        moved = f'exec 3<&{from_us} 4>&{to_us}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", moved, "bash", PROGRAM, *SWITCHES, *self.switches, f"--user-data-dir={self.folder}", "about:blank"],
            pass_fds=(from_us, to_us), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        self.buffer = b""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.send_end)
        os.close(self.receive_end)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send_end, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self.count:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, page: Path | str, width: int = 1280, dark: bool = False, height: int = 900) -> float:
        """Show a file or an address as on a screen of this width; returns the seconds until it was loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.events.clear()
        started = time.monotonic()
        self.call("Page.navigate", url=page.absolute().as_uri() if isinstance(page, Path) else page)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())
        return time.monotonic() - started

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page. Raises RuntimeError when it throws."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 60) -> Any:
        """The value of a JavaScript expression once it is true. Raises AssertionError when it does not become so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if (value := self.evaluate(condition)) not in (None, False, 0, ""):  # an element is {}
                    return value
            except RuntimeError:
                pass  # the page is changing, or what the condition looks at is not there yet
            time.sleep(0.05)
        raise AssertionError(f"{condition} did not become true; {self.complaints()[-5:]}")

    def click(self, selector: str) -> None:
        """Click with the mouse in the middle of an element."""
        x, y = self.evaluate(f"""(() => {{ const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: 'center'}}); const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int = 0, text: str = "", modifiers: int = 0) -> None:
        """Press a key: "Enter" (13, "\\r"), "Tab" (9), "ArrowRight" (39). modifiers: 1 Alt, 2 Ctrl, 8 Shift."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers,
                      **({"text": text} if kind == "keyDown" and text else {}))

    def give_files(self, selector: str, *files: Path) -> None:
        """Choose files in an <input type=file>."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.absolute()) for file in files])

    def drop_files(self, selector: str, *files: Path) -> None:
        """Drag files from outside and drop them on an element."""
        x, y = self.evaluate(f"""(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        data = {"items": [], "files": [str(file.absolute()) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def requested(self) -> list[str]:
        """Addresses of everything the page has asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Console messages, log entries (also of the content security policy) and uncaught errors."""
        methods = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in methods]

    def screenshot(self, path: Path) -> None:
        """Save the whole page as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            piece = os.read(self.receive_end, 1 << 16)
            if not piece:
                raise RuntimeError("chromium ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)
