"""An actor: a program of the user's that does what no trainer can, such as to exclude a node from a cluster.

``template`` turns a command into a command line, ``duty`` decides whether it may run and acknowledges it,
``loop`` reads commands from Kafka.
"""
