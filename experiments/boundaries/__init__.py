"""Networks of boundaries: membranes, cracks, and drawn ones. The data only; what is trained on them is to come."""
