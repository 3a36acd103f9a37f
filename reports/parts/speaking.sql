-- title: Who speaks in which frame
-- description: In a meeting, the persons who speak, frame by frame. Talking moves the mouth, so their faces are not the audience's.
SELECT DISTINCT frames.run, frame, person, true AS speaks
FROM frames JOIN speech ON frames.run = speech.run AND time_s >= start_s AND time_s < end_s
WHERE kind <> 'chat' AND person IS NOT NULL
