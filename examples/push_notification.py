"""Push a notification to all devices of a user, from any Python program. Needs only the standard library.

    export RTSERVER_API_KEY=…           # the server's, or the output of `rtserver token --sub shop --role service`
    python examples/push_notification.py alice "Your order has shipped" --key order-1042

The server saves it before it answers, so a user who is offline receives it at the next connect. With `--key`, sending
it again, for example after a timeout, changes nothing.
"""

import argparse
import json
import os
import urllib.error
import urllib.request

URL = os.environ.get("RTSERVER_URL", "http://127.0.0.1:8000")


def push(user: str, message: str, *, type: str = "info", data: object = None, key: str | None = None) -> dict:
    """Return the saved notification; raises `urllib.error.HTTPError` when it was not saved."""
    body = {"user": user, "type": type, "message": message, "data": data, "key": key}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['RTSERVER_API_KEY']}"}
    request = urllib.request.Request(f"{URL}/api/notifications", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["notifications"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Push a notification to all devices of a user.")
    parser.add_argument("user")
    parser.add_argument("message")
    parser.add_argument("--type", default="info")
    parser.add_argument("--key", help="sending the same key to the same user again changes nothing")
    arguments = parser.parse_args()
    if "RTSERVER_API_KEY" not in os.environ:
        raise SystemExit("Set RTSERVER_API_KEY first, as described at the top of this file.")
    try:
        saved = push(arguments.user, arguments.message, type=arguments.type, key=arguments.key)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{error.code}: {error.read().decode()}") from None
    print("saved" if saved["new"] else "was saved before", saved["id"])


if __name__ == "__main__":
    main()
