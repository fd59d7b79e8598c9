"""From a decoder's events to committed segments.

Four hands pass the work on, each waiting when the next is behind: the decoding child (`analyzer.video`), `feed` (pictures, scene cuts,
batches for the detector's threads), the thread that runs the job (`people`, `scenes`), and `closing` (what is asked of the other models,
the store). Frames wait in the child's shared memory, whose size is the limit for all of them.
"""
