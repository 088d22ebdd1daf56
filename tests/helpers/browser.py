"""The distribution's Chromium without a window, for pages that the project serves."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

INSTALL = 'apt-get install chromium chromium-driver'
_FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
)


def found() -> bool:
    return bool(shutil.which('chromium') and shutil.which('chromedriver'))


@contextmanager
def browser(width: int = 1200, height: int = 900) -> Iterator[webdriver.Chrome]:
    """A fresh browser, which ends with the context."""
    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which('chromium')
        for flag in (*_FLAGS, f'--window-size={width},{height}', f'--user-data-dir={profile}'):
            options.add_argument(flag)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which('chromedriver')))
        try:
            yield driver
        finally:
            driver.quit()


def upload(driver: webdriver.Chrome, url: str, picture: Path, seconds: float = 120) -> None:
    """Open the page of ``tools/web.py``, hand it a picture, wait until it shows something of it."""
    driver.get(url)
    wait = WebDriverWait(driver, seconds)
    fields = '#picture input[type=file]'
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, fields))
    driver.find_element(By.CSS_SELECTOR, fields).send_keys(str(picture))
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, '#result img, #result [role=alert]'))
