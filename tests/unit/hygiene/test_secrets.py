# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks like a secret and what does not, a line each. The tokens are made up, and put together so that no scanner finds them here."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.rules import findings_in
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.secrets import FINDINGS_PER_FILE_MAX, secrets_in
from ansible_collections.immutable.fleet.tests.unit.hygiene.trees import tree

RANDOM = "q8Zr1vTn5Yx0LmBk7Wd2Hs9Jc4Pf6GaE"  # 32 characters

SECRETS = {
    "-----BEGIN " + "RSA PRIVATE KEY-----": "a private key",
    "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----": "a private key",
    "aws_access_key_id = AKIA" + "ABCDEFGHIJKLMNOP": "an access key of AWS",
    "git clone https://x:ghp_" + "a1B2" * 9 + "@host/r": "a token of GitHub",
    "CI_TOKEN=glpat-" + "abcdefghij0123456789": "a token of GitLab",
    "slack: xoxb-" + "1234567890-abc": "a token of Slack",
    "AIza" + "Sy0" * 11 + "ab": "an API key of Google",
    "X-Vault-Token: hvs." + "CAESIJ" * 5: "a token of Vault",
    "Authorization: Bearer eyJ" + "hbGciOiJIUzI1.eyJ" + "zdWIiOiIxMjM0.c2lnbmF0dXJlMQ": "a JSON web token",
    "DATABASE_URL=postgres://app:hunter22@db/app": "a password in an address",
    "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef": "a join token of Kubernetes",
    "password: 'Tr0ub4dor'": "a value of password",
    '  "client_secret": "9f8e7d6c5b4a",': "a value of client_secret",
    "export API_KEY=k3yR9-zQ!w": "a value of API_KEY",
    f"opaque = {RANDOM}": "a random value of opaque",
}
HARMLESS = [
    "",
    "# password: Tr0ub4dor",
    "password = ",
    "password: {{ db_password }}",
    "password: $DB_PASSWORD",
    "password=changeme",
    "password: ********",
    "password_file: /etc/app/password",
    "PASS_MAX_DAYS 99999",
    "token_type = bearer-token",
    "PasswordAuthentication no",
    "ListenAddress = 2001:db8::1",
    "sha256 = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "uuid = 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "path = /usr/lib/x86_64-linux-gnu/security/pam_unix_session",
    "-----BEGIN CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJr0vX3wq8Zr1vTn5Yx0LmBk7Wd2 ops",
    "http://user@host/path",
    "proxy: http://${USER}:${PASSWORD}@proxy:3128",
    "description = this-is-a-long-name-of-words-and-more-words",
]


@pytest.mark.parametrize(("line", "kind"), SECRETS.items())
def test_a_secret_is_known_by_form_or_by_name(line: str, kind: str) -> None:
    """The line and the kind are told."""
    assert list(secrets_in(f"first\n{line}\n")) == [(2, kind)]


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_none_is_left_alone(line: str) -> None:
    """A gate that cries wolf is switched off."""
    assert list(secrets_in(line)) == []


def test_the_value_is_in_no_finding() -> None:
    """Findings go to results, events and logs."""
    text = "".join(f"{line}\n" for line in SECRETS)
    found = findings_in(tree({"/opt/app/env": text}), Policy(users=frozenset({"ops"})))
    assert len(found) == FINDINGS_PER_FILE_MAX
    said = " ".join(f"{finding} {finding.fix}" for finding in found)
    assert [line for line in SECRETS if line.split()[-1] in said] == []
