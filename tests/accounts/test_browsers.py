"""What a person signed in with reads as browser, system and device; the unknown stays as it was said."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.utils.translation import override

from crm_site.accounts.browsers import SHOWN, say
from crm_site.lib.tenancy import bank

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("said", "english", "chinese"),
    [
        (f"{WINDOWS}Chrome/128.0.0.0 Safari/537.36", "Chrome 128 on Windows, computer", "Chrome 128，Windows 电脑"),
        (f"{WINDOWS}Chrome/128.0.0.0 Safari/537.36 Edg/128.0.0.0", "Edge 128 on Windows, computer", ""),
        (
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Safari/605.1.15"),
            "Safari 17 on macOS, computer",
            "",
        ),
        (f"{IPHONE}Version/17.5 Mobile/15E148 Safari/604.1", "Safari 17 on iOS, phone", "Safari 17，iOS 手机"),
        (
            f"{IPHONE}Mobile/15E148 MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN",
            "WeChat 8 on iOS, phone",
            "微信 8，iOS 手机",
        ),
        (f"{ANDROID}Chrome/128.0.0.0 Mobile Safari/537.36", "Chrome 128 on Android, phone", ""),
        (f"{ANDROID}Chrome/128.0.0.0 Safari/537.36", "Chrome 128 on Android, tablet", ""),
        (
            ("Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 "
            "Safari/537.36 ArkWeb/4.1.6.1 Mobile"),
            "Huawei Browser 4 on HarmonyOS, phone",
            "华为浏览器 4，鸿蒙 手机",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:129.0) Gecko/20100101 Firefox/129.0", "Firefox 129 on Linux, computer", ""),
        ("curl/8.5.0", "curl/8.5.0", "curl/8.5.0"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_a_browser_is_said_in_words(said: str, english: str, chinese: str) -> None:
    with override("en"):
        assert say(said) == english
    if chinese:
        with override("zh-hans"):
            assert say(said) == chinese


def test_what_is_not_known_is_shortened() -> None:
    assert say("x" * 500) == "x" * (SHOWN - 1) + "…"


def test_a_person_reads_with_what_he_is_signed_in(rm: Any, client_for: Any) -> None:
    client = client_for(rm)
    with bank(rm.bank.pk):
        UserSession.objects.create(
            user=rm.staff, ip="127.0.0.1", session_key=client.session.session_key,
            user_agent=f"{WINDOWS}Chrome/128.0.0.0 Safari/537.36",
        )  # fmt: skip
    assert "Chrome 128 on Windows, computer" in client.get("/accounts/sessions/").content.decode()
