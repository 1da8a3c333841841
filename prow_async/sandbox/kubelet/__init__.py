"""Pods as local processes: watch an API server, run each pod's commands here, write back what became of them.

Start reading at `kubelet`; the rules are in `decide` (what next), `status` (what to tell) and `refusal` (what cannot
run here), all pure.
"""
