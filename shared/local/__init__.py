"""The embedded Kafka and PostgreSQL: installed by pip, run on loopback, gone with their parent.

``servers`` starts the two (``kafka``, fed by ``jars``, and ``postgres``); ``supervisor`` keeps a whole system of them
and the services running; ``state`` tells other processes about it; ``process`` and ``leash`` make sure that no child
outlives its parent; ``lock``, ``ports`` and ``progress`` serve them all.
"""
