"""The camera, live: what the faces in front of it show, a few times a second, for one viewer or many.

    pictures of viewers, the newest of each  ->  one loop that looks at several at a time  ->  views, one per picture looked at
"""
