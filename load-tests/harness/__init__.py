"""The parts of bench.py: processes, gateways, phases, figures, report. Standard library only."""
