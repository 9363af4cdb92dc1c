"""Run the CDK's command in the project's folder, where cdk.json tells it what the app is."""

from __future__ import annotations

import os
import sys

from infra.cdk import HERE, installed, locked
from infra.node import install_locked, node_command

if installed() != locked():
    install_locked(HERE)
os.chdir(HERE.parents[1])
command = node_command(HERE / "node_modules" / "aws-cdk" / "bin" / "cdk", *sys.argv[1:])
os.execv(command[0], command)
