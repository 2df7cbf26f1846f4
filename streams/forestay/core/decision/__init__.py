"""From a situation and a probability to a decision: guardrails, policy, reasons."""
