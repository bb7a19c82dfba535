"""The dashboard in a real Chromium: login by a one-time link, sweeps, one sweep, one job; wide and narrow, light and dark;
filter, sort and page; live updates; nothing refused by the content security policy. Screenshots go to build/screenshots."""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "e2e"))

import noop_sweep  # noqa: E402
from harness import BIN, ROOT, Cluster, expect, run_tests, wait_until  # noqa: E402
from webdriver import Browser  # noqa: E402

SHOTS = ROOT / "build" / "screenshots"


class Dashboard:
    """A coordinator and a worker with a finished sweep, and a browser that is logged in."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.start_coordinator()
        cluster.start_worker()
        self.sweep = cluster.submit(noop_sweep.sweep("shown"))["id"]
        wait_until("the sweep ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{self.sweep}")["state"] == "succeeded", 60)
        self.relay = subprocess.Popen([BIN / "fathom", "--state", cluster.state, "dashboard"], stdout=subprocess.PIPE, text=True, env=cluster.environment)
        self.link = next(word for line in self.relay.stdout for word in line.split() if word.startswith("http://"))
        self.base = self.link.split("/login")[0]
        self.browser = Browser()
        self.browser.open(self.link)

    def close(self):
        self.browser.close()
        self.relay.terminate()
        self.relay.wait(10)
        self.relay.stdout.close()

    def show(self, route, name, width=1440, dark=False, until="document.querySelector('#page .card')"):
        self.browser.emulate(width, 900, dark)
        self.browser.open("about:blank")
        self.browser.open(f"{self.base}/{route}")
        self.browser.wait(f"return !!({until})", f"{name}")
        self.browser.wait("return document.getElementById('live').textContent === 'live'", "the live connection")
        self.browser.screenshot(SHOTS / f"{name}-{width}-{'dark' if dark else 'light'}.png")
        inside = self.browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
        expect(inside, f"{name} at {width} pixels is wider than the window")


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with Cluster() as cluster:
        dashboard = Dashboard(cluster)
        browser, sweep = dashboard.browser, dashboard.sweep
        rows = "document.querySelectorAll('tbody tr').length"

        def login_link_works_once():
            expect(browser.url().rstrip("/") == dashboard.base, f"after the login: {browser.url()}")
            other = Browser()
            try:
                other.open(dashboard.link)
                other.open(f"{dashboard.base}/")
                other.wait("return document.body.innerText.includes('not logged in')", "the second use of the link is refused")
            finally:
                other.close()

        def pages_fit_wide_and_narrow_light_and_dark():
            for width in (1440, 390):
                for dark in (False, True):
                    dashboard.show("#/", "sweeps", width, dark, "document.body.innerText.includes('shown')")
                    dashboard.show(f"#/sweeps/{sweep}", "sweep", width, dark, f"{rows} > 5 && document.querySelectorAll('canvas').length")
                    background = browser.script("return getComputedStyle(document.body).backgroundColor")
                    bright = sum(int(n) for n in background[4:-1].split(",")) > 380
                    expect(bright != dark, f"background {background} with dark = {dark}")

        def job_page_shows_settings_attempts_events_and_log():
            job = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")[0]["id"]
            for width in (1440, 390):
                dashboard.show(f"#/sweeps/{sweep}/jobs/{job}", "job", width, False, "document.querySelector('pre.log')")
            text = browser.script("return document.body.innerText")
            for word in ("Settings", "Attempts", "Events", "Log", "Results", '"max_length"'):
                expect(word in text, f"the job page does not show {word!r}")

        def jobs_are_filtered_sorted_and_paged():
            dashboard.show(f"#/sweeps/{sweep}", "table", until=f"{rows} === 25")
            first = "document.querySelector('tbody a').getAttribute('href')"
            before = browser.script(f"return {first}")
            browser.script("[...document.querySelectorAll('.pager button')].find((b) => b.textContent === 'Next').click()")
            browser.wait(f"return {first} !== {before!r}", "the next page")
            browser.script("const s = document.querySelector('select[aria-label=\"any stage\"]'); s.value = 'fusion'; s.dispatchEvent(new Event('change'))")
            browser.wait(f"return {rows} === 6", "six fusions")
            browser.script("[...document.querySelectorAll('th button')].find((b) => b.textContent.startsWith('Score')).click()")
            browser.wait("return document.querySelector('th[aria-sort]')", "the sorted column")
            scores = browser.wait("""const v = [...document.querySelectorAll('tbody tr')].map((r) => parseFloat(r.cells[7].textContent));
                return v.length === 6 && v.every((x, i) => !i || v[i - 1] <= x) && v""", "rising scores")
            expect(scores == sorted(scores), f"scores {scores}")

        def new_sweeps_appear_by_themselves():
            dashboard.show("#/", "live")
            cluster.submit(noop_sweep.sweep("while-watching", rates=("5e-4",), seeds=1, stages=False))
            browser.wait("return document.body.innerText.includes('while-watching')", "the new sweep")

        def what_was_reused_is_shown():
            again = cluster.submit(noop_sweep.sweep("again"))["id"]
            wait_until("the second sweep ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{again}")["state"] == "succeeded", 60)
            told = cluster.api("GET", f"/api/v1/sweeps/{again}")
            expect(told["reused"] == told["jobs"] > 25, f"reused {told['reused']} of {told['jobs']}")
            dashboard.show(f"#/sweeps/{again}", "reused", until=f"{rows} === 25")
            facts = browser.script("return [...document.querySelectorAll('.fact')].map((f) => [f.children[1].textContent, f.children[0].textContent])")
            expect(["reused", str(told["jobs"])] in facts, f"the sweep's page says {facts}")
            marks = browser.script("return [...document.querySelectorAll('tbody tr')].map((r) => r.querySelector('[title]') ? r.querySelector('[title]').title : '')")
            expect(marks == [f"of sweep {sweep}"] * 25, f"the jobs' rows say {marks}")
            job = cluster.items(f"/api/v1/sweeps/{again}/jobs")[0]["id"]
            dashboard.show(f"#/sweeps/{again}/jobs/{job}", "reused-job", until="document.querySelector('.fact a')")
            link = browser.script("const a = document.querySelector('.fact a'); return [a.textContent, a.getAttribute('href')]")
            expect(link == [sweep, f"#/sweeps/{sweep}"], f"the job's page says {link}")

        def many_tabs_and_visits_stay_live():
            # Browsers open six connections to one address: pages that nobody sees may not hold one each.
            front, tabs = browser.tab(), []
            for _ in range(8):
                tabs.append(browser.new_tab())
                dashboard.show(f"#/sweeps/{sweep}", "tab", until=f"{rows} === 25")
            for _ in range(8):
                dashboard.show("#/", "visit", until="document.body.innerText.includes('shown')")
            cluster.submit(noop_sweep.sweep("with-many-tabs", rates=("5e-4",), seeds=1, stages=False))
            browser.script("history.go(-2)")  # to a page that the browser kept as it was
            browser.wait("return document.body.innerText.includes('with-many-tabs')", "what happened while the page was away")
            browser.switch(tabs[0])
            next_page = "[...document.querySelectorAll('.pager button')].find((b) => b.textContent === 'Next')"
            browser.script(f"{next_page}.click()")
            browser.wait(f"return {rows} && {rows} !== 25", "the next page of the first tab")
            for tab in tabs:
                browser.switch(tab)
                browser.close_tab()
            browser.switch(front)

        def console_is_clean():
            errors = [line for line in browser.errors() if "favicon" not in line]
            expect(not errors, f"the console says {errors[:3]}")

        try:
            return run_tests([login_link_works_once, pages_fit_wide_and_narrow_light_and_dark, job_page_shows_settings_attempts_events_and_log,
                              jobs_are_filtered_sorted_and_paged, new_sweeps_appear_by_themselves, what_was_reused_is_shown,
                              many_tabs_and_visits_stay_live, console_is_clean])
        finally:
            dashboard.close()


if __name__ == "__main__":
    sys.exit(main())
