"""The listening test as a listener takes it, in a real Chromium, from files alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from sonic4d.evaluate.listening.kit import make_kit
from sonic4d.evaluate.listening.results import analyse, read_answers
from sonic4d.media.audio import write_wav
from sonic4d.media.video import write_video
from sonic4d.monitor import SILENT

WAIT_S = 60


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A test of three cases, the first two seen from static viewpoints."""
    frames = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), np.uint8)
    wav = tmp_path / "sound.wav"
    write_wav(wav, 0.1 * np.sin(np.arange(16000) / 20).astype(np.float32), 48000)
    cases = []
    for number in range(3):
        names = {}
        for kind in ("spatial", "mono"):
            names[kind] = f"{kind}{number}.mp4"
            write_video(tmp_path / names[kind], frames, Fraction(24), wav, SILENT, len(frames))
        viewpoint = "static" if number < 2 else "dynamic"
        cases.append({"name": f"case {number}", "viewpoint": viewpoint, **names})
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"title": "Does it move?", "cases": cases}), encoding="utf-8")
    return make_kit(path, tmp_path / "kit")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = os.environ["SONIC4D_CHROMIUM"]
    flags = (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "autoplay-policy=no-user-gesture-required",
        f"user-data-dir={tmp_path / 'profile'}",
    )
    for flag in flags:
        options.add_argument(f"--{flag}")
    downloads = {"download.default_directory": str(tmp_path / "downloads")}
    options.add_experimental_option("prefs", downloads)
    driver = Chrome(options, ChromeService(os.environ["SONIC4D_CHROMEDRIVER"]))
    try:
        yield driver
    finally:
        driver.quit()


def click(browser: Chrome, name: str) -> None:
    browser.find_element(By.ID, name).click()


def shown(browser: Chrome) -> str:
    sections = browser.find_elements(By.TAG_NAME, "section")
    visible = [section.get_attribute("id") for section in sections if section.is_displayed()]
    assert len(visible) == 1
    return str(visible[0])


def pass_headphone_check(browser: Chrome, wrong_first: bool) -> None:
    answers = [False, True, True, True, True] if wrong_first else [True] * 4
    for right in answers:
        assert shown(browser) == "headphones"
        click(browser, "tone")
        side = browser.find_element(By.TAG_NAME, "body").get_attribute("data-side")
        other = {"left": "right", "right": "left"}[str(side)]
        click(browser, f"heard-{side if right else other}")


def judge(browser: Chrome, spatial_rating: int, mono_rating: int) -> None:
    """Play both videos, then prefer and rate by which of them is the spatial one."""
    following = browser.find_element(By.ID, "next")
    assert not following.is_enabled()
    for place in ("a", "b"):
        assert not following.is_enabled()
        ended = "const v = arguments[0]; v.playbackRate = 4; v.play(); return v.src"
        browser.execute_script(ended, browser.find_element(By.ID, f"video-{place}"))
        WebDriverWait(browser, WAIT_S).until(
            lambda b, p=place: b.execute_script(
                "return arguments[0].ended", b.find_element(By.ID, f"video-{p}")
            )
        )
    WebDriverWait(browser, WAIT_S).until(lambda b: following.is_enabled())
    spatial = browser.execute_script("return order[answers.length].spatial_is")
    for place in ("a", "b"):
        rating = spatial_rating if place == spatial else mono_rating
        for measure in ("sla", "avsa"):
            selector = f"input[name={measure}_{place}][value='{rating}']"
            browser.find_element(By.CSS_SELECTOR, selector).click()
    browser.find_element(By.CSS_SELECTOR, f"input[name=preferred][value={spatial}]").click()
    following.click()


def test_a_listener_takes_the_test(page: Path, browser: Chrome, tmp_path: Path) -> None:
    browser.get(page.as_uri())
    assert browser.title == "Does it move?"
    assert browser.find_element(By.ID, "count").text == "3"
    click(browser, "begin")
    pass_headphone_check(browser, wrong_first=True)
    for number in range(3):
        assert shown(browser) == "trial"
        assert browser.find_element(By.ID, "progress").text == f"Pair {number + 1} of 3"
        judge(browser, 5, 2)
    assert shown(browser) == "end"
    for kind in ("json", "csv"):
        click(browser, kind)
    folder = tmp_path / "downloads"
    WebDriverWait(browser, WAIT_S).until(
        lambda b: len([*folder.glob("*.json"), *folder.glob("*.csv")]) == 2
    )
    files = sorted(folder.iterdir())
    results = [analyse(read_answers([file])) for file in files]
    assert results[0] == results[1]
    assert results[0]["answers"] == 3
    assert results[0]["static"]["answers"] == 2
    assert results[0]["all"]["preference"]["spatial"] == 1
    assert results[0]["all"]["sla_mono"]["mean"] == 2


def test_pairs_and_places_are_shuffled(page: Path, browser: Chrome) -> None:
    seen = set()
    for _ in range(12):
        browser.get(page.as_uri())
        seen.add(browser.execute_script("return order.map(c => c.name + c.spatial_is).join()"))
    assert len(seen) > 3  # of 48
