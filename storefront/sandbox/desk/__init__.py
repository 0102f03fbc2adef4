"""The QA desk: what there is to see of a stage, and what can be done to it."""
