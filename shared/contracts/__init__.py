"""The public interface: every message, its envelope and its fields. Depends on pydantic alone.

====================  ==========================================================================================
``checkout``          accounts, merchant policies, orders
``billing``           plans, bills, repayments, dunning
``dead_letters``      what a service could not handle
``clock``             the movable business time of a sandbox
``policy``            what a merchant or the platform may decide, and the terms frozen on an order
``fields``            ids, money, instants, codes: what payloads are built from
``envelope``          CloudEvents headers around a payload
``message``           the catalogue of messages, their versions and how to read them
====================  ==========================================================================================
"""
