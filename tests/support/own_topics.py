"""Topics of a test's own on a broker that tests share: every role of them, also the roles to come."""

from typing import Any

from forestay.settings import TOPIC_ROLES, TopicSettings


def own_topics(name: str, **more: Any) -> TopicSettings:
    """Returns topics whose names begin with `name`, and other settings of them."""
    names = {role: f"{name}-{role.replace('_', '-')}" for role in (*TOPIC_ROLES, "catalogue")}
    return TopicSettings(**(names | more))
