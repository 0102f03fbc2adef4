"""The robot: it plays walkthroughs over HTTP, as a buyer at a browser, and reports what it saw.

It knows no shop. It reads data attributes, forms and links, presses only what a buyer could press, and
stops where a browser would. So it imports nothing of ours: what it knows of a walkthrough the sandbox
told it, and what came of it the sandbox judges.
"""
