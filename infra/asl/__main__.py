"""Install what checks definitions."""

from infra.asl import HERE
from infra.node import install_locked

install_locked(HERE)
