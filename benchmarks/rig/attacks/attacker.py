"""One attack, as a process of its own: `python -m rig.attacks.attacker NAME PORT < SECRETS`.

SECRETS are the secret of tokens and the key of the HTTP API, a line each.
"""

from __future__ import annotations

import asyncio
import sys

from rig.attacks.registry import ATTACKS
from rig.attacks.target import Target

if __name__ == "__main__":
    attack = ATTACKS[sys.argv[1]]
    secret, api_key = sys.stdin.read().split()
    asyncio.run(attack.run(Target(int(sys.argv[2]), secret, api_key, attack.parser)))
