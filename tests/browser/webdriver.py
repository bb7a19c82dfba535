"""A small WebDriver client (W3C protocol over HTTP, standard library only) for headless Chromium."""
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class Browser:
    """Owns a chromedriver process and one Chromium window; close() ends both and removes the profile."""

    def __init__(self, dark=False):
        self.profile = tempfile.mkdtemp(prefix="fathom-browser-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.base = f"http://127.0.0.1:{self._port()}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--user-data-dir={self.profile}"] + (["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else [])
        options = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.session = f"/session/{self._call('POST', '/session', {'capabilities': options})['sessionId']}"

    def _port(self):
        for line in self.driver.stdout:
            if "on port" in line and "successfully" in line:
                return int(line.rstrip().rstrip(".").split()[-1])
        raise RuntimeError("chromedriver did not start")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500]) from None

    def open(self, url):
        self._call("POST", self.session + "/url", {"url": url})

    def new_tab(self):
        """Opens a tab and puts it in front; returns what shows it again by switch()."""
        handle = self._call("POST", self.session + "/window/new", {"type": "tab"})["handle"]
        self.switch(handle)
        return handle

    def switch(self, handle):
        self._call("POST", self.session + "/window", {"handle": handle})
        self.devtools("Page.bringToFront")

    def close_tab(self):
        """Closes the tab in front; another one has to be chosen then."""
        self._call("DELETE", self.session + "/window")

    def tab(self):
        return self._call("GET", self.session + "/window")

    def url(self):
        return self._call("GET", self.session + "/url")

    def script(self, source, *arguments):
        return self._call("POST", self.session + "/execute/sync", {"script": source, "args": list(arguments)})

    def emulate(self, width, height, dark):
        """Window size in CSS pixels and the colour scheme that the page is asked for."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def devtools(self, command, **parameters):
        return self._call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def wait(self, source, what, seconds=20):
        """Until the script's value is true; returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.script(source)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}; the page says: {self.script('return document.body.innerText')[:600]!r}")

    def screenshot(self, path, full=True):
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def errors(self):
        """What the page wrote to the console as errors, content security violations among them."""
        entries = self._call("POST", self.session + "/se/log", {"type": "browser"})
        return [e["message"] for e in entries if e["level"] == "SEVERE"]

    def close(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            self.driver.stdout.close()
            shutil.rmtree(self.profile, ignore_errors=True)
