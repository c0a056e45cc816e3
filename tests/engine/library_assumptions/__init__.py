"""What the client libraries do by default where the product rests on it, or on the opposite; asked at every upgrade.

Each test shows the default on a real broker, so that a change is noticed, and where the default is too little, that our
counter-measure holds. One default cannot be shown: after a broker's restart a consumer of aiokafka may stick for good,
without any public sign (once in eighteen recoveries). The counter-measure needs no occasion: a process whose records
lie unread while no turn ends is ended from outside, and that is proven in ``tests/operations/test_watchdog.py``.
"""
