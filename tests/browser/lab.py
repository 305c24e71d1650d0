"""JupyterLab and Chromium for the tests: started, driven, and ended by their process ids."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request

import nbformat
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PATIENCE_SECONDS = 40
POLL_SECONDS = 0.1

LABELS = ".widget-select select"
"""The panel's list of labels, by its style."""

FLAGS = [
    "--headless=new",
    "--no-sandbox",  # as root there is no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def wait_for(condition, what, seconds=PATIENCE_SECONDS):
    """Return the first truthy value of `condition`, or fail and say what was waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except StaleElementReferenceException:
            pass
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {seconds} s: {what}")


def luminance(colour):
    """Relative luminance of ``rgb(…)``, as WCAG has it."""
    parts = [int(float(part)) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class Lab:
    """A JupyterLab server with a private home; kernels reach the sandbox by the environment."""

    def __init__(self, home, folder, box, *, widgets=True):
        self.folder = folder
        if not widgets:
            page = home / "config" / "labconfig" / "page_config.json"
            page.parent.mkdir(parents=True)
            manager = "@jupyter-widgets/jupyterlab-manager"
            page.write_text(json.dumps({"disabledExtensions": {manager: True}}))
        self._token = secrets.token_hex(16)
        self._log = (home / "lab.log").open("w+")
        private = {
            "HOME": home,
            "IPYTHONDIR": home / "ipython",
            "JUPYTER_CONFIG_DIR": home / "config",
            "JUPYTER_DATA_DIR": home / "data",
            "JUPYTER_RUNTIME_DIR": home / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": home / "config" / "lab" / "user-settings",
            "JUPYTERLAB_WORKSPACES_DIR": home / "config" / "lab" / "workspaces",
            "KIRIM_JOURNAL": home / "journal",
            "KIRIM_API_KEY": box.api_key,
            "KIRIM_BASE_URL": box.base_url,
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--ServerApp.port_retries=0"),
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={self._token}",
            "--LabApp.expose_app_in_browser=True",  # to choose the theme
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(value) for name, value in private.items()}},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        pattern = f"jpserver-{self._process.pid}.json"
        running = wait_for(lambda: list((home / "runtime").glob(pattern)), "JupyterLab's port")
        self._url = wait_for(lambda: self._read(running[0]), "JupyterLab's address")
        wait_for(self._answers, "JupyterLab to answer")

    def notebook(self, name, cells, kernel="kernel-newest"):
        """Write a notebook of code cells; return its address."""
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},
        )
        nbformat.write(book, self.path(name))
        return self.address(name)

    def address(self, name):
        return f"{self._url}lab/tree/{name}.ipynb?reset&token={self._token}"

    def path(self, name):
        return self.folder / f"{name}.ipynb"

    def close(self):
        """End the server, which ends its kernels."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()

    @staticmethod
    def _read(path):
        try:
            return json.loads(path.read_text())["url"]
        except (ValueError, KeyError):  # half written
            return None

    def _answers(self):
        try:
            with urllib.request.urlopen(f"{self._url}api?token={self._token}", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False


class Browser:
    """Chromium on one notebook at a time."""

    def __init__(self, chromium, driver, profile, artifacts):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in [*FLAGS, f"--user-data-dir={profile}", "--window-size=1300,1000"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=driver)
        self._driver = webdriver.Chrome(options=options, service=service)
        self._driver.set_page_load_timeout(PATIENCE_SECONDS)
        self._artifacts = artifacts

    # -- notebooks -------------------------------------------------------------------------

    def open(self, address, *, idle=True):
        """Open a notebook and wait until it can be used."""
        self._driver.get(address)
        wait_for(lambda: self.all(".jp-Notebook .jp-CodeCell"), "the notebook's cells")
        wait_for(lambda: not self.visible(".jp-Spinner"), "the spinner to go")
        if idle:
            self.wait_idle()

    def show(self, address):
        """Open a page that is no notebook."""
        self._driver.get(address)

    def text(self):
        """All text that the page shows."""
        return self.one("body").text

    def run_cell(self, number):
        """Click into a cell and press Shift+Enter."""
        self.click(self.cell(number).find_element(By.CSS_SELECTOR, ".cm-content"))
        self.keys(Keys.SHIFT, Keys.ENTER)

    def cell(self, number):
        return self.all(".jp-Notebook .jp-CodeCell")[number]

    def output(self, number):
        """The text a cell shows."""
        return "\n".join(
            part.text
            for part in self.cell(number).find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output")
        )

    def prompt(self, number):
        selector = ".jp-InputArea-prompt"
        return self.cell(number).find_element(By.CSS_SELECTOR, selector).text

    def wait_output(self, number, text, seconds=PATIENCE_SECONDS):
        wait_for(
            lambda: text in self.output(number) or None,
            f"{text!r} in the output of cell {number}",
            seconds,
        )

    def wait_idle(self):
        wait_for(lambda: "Idle" in self.one("#jp-main-statusbar").text, "an idle kernel")

    def wait_ran(self, number):
        """Wait until a cell has a number instead of a star."""
        wait_for(lambda: self.prompt(number)[1:-2].isdigit(), f"cell {number} to end")

    def save(self):
        self.keys(Keys.CONTROL, "s")
        wait_for(lambda: not self.all(".jp-mod-current.jp-mod-dirty"), "the notebook to be saved")

    def close_page(self):
        """Leave JupyterLab; a question whether to leave is answered with yes."""
        self._driver.get("about:blank")

    # -- elements --------------------------------------------------------------------------

    def one(self, selector):
        return self._driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector, inside=None):
        return (inside or self._driver).find_elements(By.CSS_SELECTOR, selector)

    def visible(self, selector, inside=None):
        return [found for found in self.all(selector, inside) if found.is_displayed()]

    def button(self, text, inside=None):
        """The visible button of widgets with that text."""
        return wait_for(
            lambda: next(
                (b for b in self.visible("button.jupyter-button", inside) if text in b.text), None
            ),
            f"a button {text!r}",
        )

    def click(self, element):
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def keys(self, *keys):
        """Press keys together, as one chord, where the focus is."""
        actions = webdriver.ActionChains(self._driver)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in reversed(keys[:-1]):
            actions.key_up(key)
        actions.perform()

    def script(self, text, *arguments):
        return self._driver.execute_script(text, *arguments)

    def bar_share(self, number):
        """How full the bar in a cell is, 0 to 1; None without one."""
        bars = self.visible('[role="progressbar"]', self.cell(number))
        return int(bars[0].get_attribute("aria-valuenow")) / 100 if bars else None

    def overflowing(self, number):
        """Texts of visible outputs that are wider than their place and cannot be reached."""
        return self.script(
            """
            return [...arguments[0].querySelectorAll('.jp-OutputArea-output *')].filter(e =>
              e.offsetParent && e.scrollWidth > e.clientWidth + 2 && e.clientWidth > 0 &&
              !['SELECT', 'OPTION', 'INPUT', 'SPAN', 'CODE', 'STRONG'].includes(e.tagName) &&
              !['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
            ).map(e => e.className + ': ' + e.textContent.slice(0, 60))
            """,
            self.cell(number),
        )

    def contrast(self, number):
        """The least contrast, in a cell, of our text to the ground behind it."""
        # All in one go: what is shown may be replaced at any moment.
        pairs = self.script(
            """
            const see = c => /rgba\\(.*, 0\\)/.test(c) || c === 'transparent';
            return [...arguments[0].querySelectorAll('.kirim-job')].map(text => {
              let ground = text;
              while (ground.parentElement && see(getComputedStyle(ground).backgroundColor))
                ground = ground.parentElement;
              return [getComputedStyle(text).color, getComputedStyle(ground).backgroundColor];
            })
            """,
            self.cell(number),
        )
        contrasts = []
        for pair in pairs:
            dark, light = sorted(luminance(colour) for colour in pair)
            contrasts.append((light + 0.05) / (dark + 0.05))
        return min(contrasts)

    # -- pictures and messages -------------------------------------------------------------

    def theme(self, name):
        """Choose ``light`` or ``dark`` in the settings menu's way: by the command."""
        self.script(
            "window.jupyterapp?.commands.execute('apputils:change-theme', {theme: arguments[0]})",
            f"JupyterLab {name.capitalize()}",
        )
        wait_for(
            lambda: (
                self.one("body").get_attribute("data-jp-theme-light")
                == ("true" if name == "light" else "false")
            ),
            f"the {name} theme",
        )

    def size(self, width, height=1000):
        self._driver.set_window_size(width, height)

    def picture(self, name, element=None):
        """Save a screenshot, of the window or of one element, among the artefacts."""
        self._artifacts.mkdir(exist_ok=True)
        path = str(self._artifacts / f"{name}.png")
        if element is None:
            self._driver.save_screenshot(path)
        else:
            element.screenshot(path)

    def severe_messages(self):
        """What the browser has complained of since the last call."""
        return [m["message"] for m in self._driver.get_log("browser") if m["level"] == "SEVERE"]

    def close(self):
        self._driver.quit()
