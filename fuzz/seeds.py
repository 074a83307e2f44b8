#!/usr/bin/env python3
"""Writes the first inputs of each corpus: answers of the sandbox, fixtures, and hand-written inputs.

Needs the built sandbox (make stage). Inputs that libFuzzer added to a corpus are kept; the files written here are named seed-*.
"""

import base64
import hashlib
import http.client
import json
import pathlib
import ssl
import struct
import subprocess
import sys
import urllib.parse

FUZZ = pathlib.Path(__file__).resolve().parent
ROOT = FUZZ.parent
SANDBOX = ROOT / "target/debug/pinterest-sandbox"
PICTURES = [
    "tiny.png", "pixel.png", "row.png", "palette.png", "palette-transparent.png", "bilevel.png", "grey-alpha.png",
    "animated.png", "exif-2.jpg", "exif-5.jpg", "exif-6.png", "margin-1.jpg", "alpha.webp", "exif-8.webp",
    "animated.webp", "progressive.jpg", "grey.jpg", "cmyk.jpg", "lossless.webp", "lossy.webp", "sixteen-bit.png",
]


def seed(target, name, content):
    if isinstance(content, str):
        content = content.encode()
    directory = FUZZ / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"seed-{name}").write_bytes(content)


class Sandbox:
    def __init__(self):
        self.process = subprocess.Popen(
            [SANDBOX, "serve", "--stdin-lifeline", "--pins", "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.facts = json.loads(self.process.stdout.readline())
        context = ssl.create_default_context(cafile=self.facts["ca_file"])
        url = urllib.parse.urlparse(self.facts["url"])
        self.connect = lambda: http.client.HTTPSConnection(url.hostname, url.port, context=context)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def fault(self, kind, fault):
        rule = {"on": {"kind": kind}, "fault": fault, "times": 1}
        status, _, body = self.ask("POST", "/control/faults", json.dumps(rule), {"Content-Type": "application/json"})
        assert status < 300, body

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def answers(sandbox):
    facts = sandbox.facts
    redirect = facts["redirect_uri"]
    query = {"client_id": facts["client_id"], "redirect_uri": redirect, "response_type": "code",
             "scope": "boards:read,pins:read,user_accounts:read,boards:read_secret,pins:read_secret", "state": "s"}
    _, headers, _ = sandbox.ask("GET", "/oauth/?" + urllib.parse.urlencode(query))
    location = next(value for name, value in headers.items() if name.lower() == "location")
    code = urllib.parse.parse_qs(urllib.parse.urlparse(location).query)["code"][0]
    basic = base64.b64encode(f"{facts['client_id']}:{facts['client_secret']}".encode()).decode()
    token_headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}

    def token(form):
        return sandbox.ask("POST", "/v5/oauth/token", urllib.parse.urlencode(form), token_headers)

    _, _, body = token({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect,
                         "continuous_refresh": "true"})
    granted = json.loads(body)
    secrets = [granted["access_token"], granted["refresh_token"]]

    def hide(body):
        for secret in secrets:
            body = body.replace(secret.encode(), b"@@")
        return body

    seed("grant", "exchange", hide(body))
    refusals = [
        (2, {"name": "invalid_grant"}), (2, {"name": "invalid_application"}), (3, {"name": "something_went_wrong"}),
        (3, {"name": "server_error", "status": 503}), (3, {"name": "html_502"}),
        (0, {"name": "rate_limited", "retry_after": "7", "reset": 9}), (0, {"name": "spam"}),
        (0, {"name": "retry_after_text", "seconds": 5}), (1, {"name": "invalid_parameter"}),
        (0, {"name": "missing_scope"}), (1, {"name": "listing_wall"}), (4, {"name": "cdn_forbidden"}),
    ]
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    for number, (call, fault) in enumerate(refusals):
        if call in (2, 3):
            sandbox.fault("token", fault)
            status, headers, body = token({"grant_type": "refresh_token", "refresh_token": "pinr.unknown"})
        else:
            sandbox.fault("boards", fault)
            status, headers, body = sandbox.ask("GET", "/v5/boards", headers=bearer)
        lower = {name.lower(): value for name, value in headers.items()}
        names = ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-pinterest-rid"]
        lines = "".join(lower.get(name, "") + "\n" for name in names)
        seed("headers", f"{fault['name']}-{number}", lines)
        seed("refusal", f"{fault['name']}-{number}",
             bytes([call]) + struct.pack("<H", status) + b"\2" + lines.encode() + hide(body))
        message = json.loads(body).get("message") if body.startswith(b"{") else body.decode(errors="replace")
        seed("redact", f"{fault['name']}-{number}", message or "no message")

    seed("account", "account", b"\0" + sandbox.ask("GET", "/v5/user_account", headers=bearer)[2])
    _, _, body = sandbox.ask("GET", "/v5/boards?page_size=3", headers=bearer)
    seed("listing", "boards", b"\0" + body)
    board = next(board for board in facts["boards"] if board["pins"])["id"]
    seed("account", "board", b"\1" + sandbox.ask("GET", f"/v5/boards/{board}", headers=bearer)[2])
    _, _, body = sandbox.ask("GET", f"/v5/boards/{board}/sections", headers=bearer)
    seed("listing", "sections", b"\1" + body)
    seed("account", "section", b"\2" + json.dumps((json.loads(body)["items"] or [{"id": "1"}])[0]).encode())
    for each in facts["boards"][:4]:
        _, _, body = sandbox.ask("GET", f"/v5/boards/{each['id']}/pins?page_size=3", headers=bearer)
        seed("listing", f"pins-{each['id']}", b"\2" + body)
    pins = json.loads(body)["items"]
    seed("account", "pin", b"\3" + sandbox.ask("GET", f"/v5/pins/{pins[0]['id']}", headers=bearer)[2])


def by_hand():
    seed("listing", "odd", '\2{"items": [{"id": "1", "title": "\\u0000 \\ud800"}, {"id": 2}, [], null], "bookmark": ""}')
    seed("listing", "end", '\0{"items": [], "bookmark": null}')
    seed("listing", "deep", "\2" + '{"items": [' + '{"id": "1", "x": ' + "[" * 70 + "]" * 70 + "}], \"bookmark\": \"b\"}")
    # Once kept as text with NUL, which no column can hold.
    seed("account", "nul", '\0{"id": "1", "username": "a\\u0000b", "business_name": "\\ud800"}')
    seed("headers", "nul", "\0\n")
    seed("listing", "nul", '\0{"items": [], "bookmark": "a\\u0000b"}')
    seed("grant", "nul", '{"access_token": "@@", "expires_in": 60, "scope": "pins:read \\u0000x"}')
    seed("account", "no-account", '\0{"username": "@@", "id": 7, "board_count": "x"}')
    carousel = {"id": "2", "media": {"media_type": "multiple_mixed", "items": [
        {"item_type": "image", "images": {"600x": {"url": "https://i.pinimg.com/600x/aa/bb/cc/"
         "aabbcc00112233445566778899aabbcc.jpg", "width": 600, "height": 1}, "150x150": {"url": "https://x/"}}},
        {"item_type": "video", "cover_image_url": "https://i.pinimg.com/videos/c.0000000.jpg", "duration": 1}, None]}}
    seed("account", "carousel", b"\3" + json.dumps(carousel).encode())
    seed("grant", "legacy", '{"access_token": "@@", "token_type": "bearer", "expires_in": 2592000, "scope": "a,b c"}')
    seed("grant", "odd", '{"access_token": "@@", "expires_in": -1, "refresh_token": null, "scope": null}')
    seed("headers", "gateway", "Wed, 21 Oct 2026 07:28:00 GMT\n1000, 1000;w=60\n 7\n1763000000\nrid @@\n")
    seed("headers", "large", "99999999999999999999\n18446744073709551615\n-1\n18446744073709551615\n\xe4\n")
    seed("redact", "tokens", "bad token=@@, sorry pinr.eyJabc PINC_x " + "z" * 70)
    seed("refusal", "echo", b"\3\x90\1\1\n\n\n\n\n" + b'{"code": 283, "message": "@@ is bad", "data": "pinr.@@"}')
    key = base64.b64encode(bytes(range(32))).decode()
    seed("key_ring", "two", f"# keys\n{key} # first\n\n{bytes(range(1, 33)).hex()}\n")
    seed("key_ring", "twice", f"{key}\n{key}\n")
    seed("key_ring", "short", "c2hvcnQ=\n")
    seed("sealed", "text", "\5\1pinr.example")
    seed("sealed", "bytes", b"\1\1" + bytes(8) + bytes(24) + bytes(32))
    seed("app_secrets", "apps", "1453111\n# our apps\r\n\n  1453111  one # the site\n1453222\ttwo#two\n")
    seed("app_secrets", "roles", '1453111\n1453111 one ann, "of the ""barns""" # hers\n')
    seed("app_secrets", "slip", "1453111\n1453111 @@ @@\n")
    seed("states", "state", base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("="))
    for number, text in enumerate(["2021-06-08T09:37:30", "2021-06-08T09:37:30.123456789Z", "2021-06-08T09:37:30+14:00",
                                   "9999-12-31T23:59:60", "+10000-01-01T00:00:00"]):
        seed("states", f"time-{number}", text)
    for number, text in enumerate([
        "549755885175", "Barn wedding", "https://www.pinterest.com/example_user/barn-wedding/",
        "pinterest.de/A/caf%C3%A9-br%C3%BBl%C3%A9e-%26-more?x#y\nCafé Brûlée & More!", " 2026 ", "http://pinterest.x",
        "https://www.pinterest.com/anna/rooms/grand-hall/?x#y\nGrand Hall", "https://pin.it/x", "a@pinterest.com:80/_tools",
        "\uFEFFSTRASSE\u00A0\nstra\u00DFe ",
    ]):
        seed("board_reference", str(number), text)
    for number, (url, location) in enumerate([
        ("https://i.pinimg.com/600x/a.jpg", "/564x/a.jpg"), ("https://localhost:8443/x", "//i.pinimg.com/y"),
        ("HTTPS://I.PINIMG.COM:443/%2e%2e/a?b#c", "https://i.pinimg.com@evil.example/"), ("[::1]:8443", "x"),
        ("https://127.0.0.1/", "..//../x"), ("i.pinimg.com:8443", ""), ("https://i.pinimg.com/", "?q#f"),
    ]):
        address = bytes([0x20, 0x01, 0x48, 0x60, number] + [0] * 10 + [1])
        seed("urls", str(number), f"{url}\n{location}\n".encode() + address)
    for name, kind, payload in [
        ("image", 1, b"\xff\xd8\xff"), ("text", 2, "a barn".encode()), ("ask", 3, b""),
        ("embedding", 0x81, bytes(32) + struct.pack("<512f", *([1.0] + [0.0] * 511))),
        ("loading", 0x82, struct.pack("<II", 7, 2) + b"\5\0" + b"0.1.0" + bytes(57) + b"\0"),
        ("ready", 0x82, struct.pack("<II", 7, 2) + b"\5\0" + b"0.1.0" + bytes(57) + b"\1" + bytes(64) +
         struct.pack("<I", 512) + b"".join(struct.pack("<H", len(s)) + s for s in [b"n", b"bf16", b"avx2", b"p", b""])),
        ("failed", 0x82, struct.pack("<II", 7, 2) + b"\0\0" + bytes(57) + b"\2" + b"\7\0\4\0gone"),
        ("error", 0x83, b"\3\0\7\0damaged"), ("goodbye", 0x84, b""),
    ]:
        seed("frames", name, b"PEMB\1" + bytes([kind]) + b"\0\0" + struct.pack("<QI", 7, len(payload)) + payload)
    # Once went into the log with its line break.
    seed("frames", "forged", b"PEMB\1\x83\0\0" + struct.pack("<QI", 7, 12) + b"\3\0\x08\0a\nLOG: b")
    seed("frames", "headless", bytes(20) + b"\3\0\7\0damaged")
    rows = [{"title": "Barn", "name": "barn", "key": "1", "image": "https://example.com/a.jpg", "link": "https://x.y/?a&b",
             "rank": 1, "score": 0.123456, "distance": 1e-9, "theme": "<b>", "price": None, "open": True,
             "because": [{"account_id": 1, "pin_id": "7", "position": 0, "title": "<i>", "board": "B", "distance": 0.5,
                          "image_url": "https://i.pinimg.com/a.jpg", "link": "javascript:1"}]},
            {"image": "\\x89504e470d0a1a0a00", "link": "http://x"}]
    seed("gallery", "rows", "Title <é>\n" + json.dumps(rows))
    # Is short enough as it is written, and was once taken though its escapes make it three times as long.
    seed("gallery", "long-address", "https://b/#" + "\u00e9" * 1000 + "\n[]")
    seed("gallery", "odd", 'https://x.y/\n[{"image": "\\\\xffd8ff", "because": null, "x": [[{}]]}, {}]')
    seed("gallery", "wrong", '\n[{"because": [1]}]')
    words = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 1, "num_hidden_layers": 1}
    seed("model_files", "config", b"\0" + json.dumps({"text_config": words, "vision_config": words}).encode())
    seed("model_files", "config-full", b"\0" + b'{"projection_dim": 512, "_name_or_path": "x", "text_config_dict": null}')
    # Was once quoted in the error as long as it was.
    seed("model_files", "long-word", b"\0" + json.dumps({"text_config": {"hidden_act": "x" * 2000}}).encode())
    header = json.dumps({"logit_scale": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
                         "__metadata__": {"format": "pt"}}).encode()
    seed("model_files", "weights", b"\1" + struct.pack("<Q", len(header)) + header + bytes(4))
    huge = json.dumps({"x": {"dtype": "F64", "shape": [2**60], "data_offsets": [0, 2**63]},
                       "y": {"dtype": "U8", "shape": [2**63 - 1], "data_offsets": [2**63, 2**64 - 1]}}).encode()
    seed("model_files", "weights-huge", b"\1" + struct.pack("<Q", len(huge)) + huge)
    packed = (b"PINCLIP\0" + struct.pack("<II", 2, 0x01020304) + struct.pack("<IIQ", 2, 0, 4) + hashlib.sha256(b"c").digest()
              + hashlib.sha256(b"a").digest() + hashlib.sha256(b"w").digest())
    seed("model_files", "packed", b"\2" + packed + hashlib.sha256(packed).digest())
    for number, text in enumerate(["a barn with string lights", "<|startoftext|>x<|endoftext|>", "ΣΑΣ café 中文 🎉",
                                   "<start_of_text> it's 2,000 e\u0301", "x" * 400]):
        seed("text", str(number), text)
    for name in PICTURES:
        content = (ROOT / "tests/fixtures/pictures" / name).read_bytes()
        if len(content) <= 16_384:
            seed("picture", name, content)


def main():
    by_hand()
    sandbox = Sandbox()
    try:
        answers(sandbox)
    finally:
        sandbox.close()
    for directory in sorted((FUZZ / "corpus").iterdir()):
        files = list(directory.iterdir())
        print(f"{directory.name}: {len(files)} files, {sum(file.stat().st_size for file in files)} bytes")


if __name__ == "__main__":
    sys.exit(main())
