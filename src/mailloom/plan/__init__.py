"""What a deployment holds and costs, before anybody pays for it: demand, measured cost a mail and list prices in, a plan out.

Pure: the data files are read when they are first asked for, nothing else is. Knows no store, no settings and no AWS.
"""
