"""Install what checks definitions."""

from infra.asl import install

install()
