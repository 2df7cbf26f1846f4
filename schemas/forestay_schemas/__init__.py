"""Contracts of Forestay's topics: pydantic models, and the JSON Schemas generated from them."""

from forestay_schemas.action_feedback import ActionFeedback, FeedbackKind
from forestay_schemas.catalogue_record import CatalogueRecord
from forestay_schemas.click_event import ClickEvent, Item
from forestay_schemas.clock_record import ClockRecord
from forestay_schemas.decision import Candidate, Decision, Suppressed
from forestay_schemas.ledger import LedgerBatch, LedgerCommit, LedgerRecord, LedgerStart
from forestay_schemas.outcome import DecisionOutcome, Fragments
from forestay_schemas.retention_action import (
    Churn,
    ExperimentArm,
    PolicyStamp,
    Reason,
    RetentionAction,
    Trigger,
)
from forestay_schemas.types import ActionKind, EventName, Rung, TriggerKind, rfc3339

__all__ = [
    "ActionFeedback",
    "ActionKind",
    "Candidate",
    "CatalogueRecord",
    "Churn",
    "ClickEvent",
    "ClockRecord",
    "Decision",
    "DecisionOutcome",
    "EventName",
    "ExperimentArm",
    "FeedbackKind",
    "Fragments",
    "Item",
    "LedgerBatch",
    "LedgerCommit",
    "LedgerRecord",
    "LedgerStart",
    "PolicyStamp",
    "Reason",
    "RetentionAction",
    "Rung",
    "Suppressed",
    "Trigger",
    "TriggerKind",
    "rfc3339",
]
