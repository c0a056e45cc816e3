"""What puts a service into operation: settings, logging, health, composition."""
