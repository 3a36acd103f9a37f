-- Faces as deepface's analyze() describes them, as JSON; then frame, time_s and person, which deepface does not have.
-- A frame without faces has one row without a face. A face that could not be read has null for its emotions.
SELECT
    frame,
    CASE WHEN face IS NOT NULL THEN to_json({
        'emotion': {
            'angry': CASE WHEN usable THEN round(100 * angry::DOUBLE, 4) END,
            'disgust': CASE WHEN usable THEN round(100 * disgust::DOUBLE, 4) END,
            'fear': CASE WHEN usable THEN round(100 * fear::DOUBLE, 4) END,
            'happy': CASE WHEN usable THEN round(100 * happy::DOUBLE, 4) END,
            'sad': CASE WHEN usable THEN round(100 * sad::DOUBLE, 4) END,
            'surprise': CASE WHEN usable THEN round(100 * surprise::DOUBLE, 4) END,
            'neutral': CASE WHEN usable THEN round(100 * neutral::DOUBLE, 4) END
        },
        'dominant_emotion': CASE WHEN usable THEN expression END,
        'region': {
            'x': round(x1)::INTEGER,
            'y': round(y1)::INTEGER,
            'w': round(x2 - x1)::INTEGER,
            'h': round(y2 - y1)::INTEGER
        },
        'face_confidence': round(score::DOUBLE, 4),
        'frame': frame,
        'time_s': round(time_s, 6),
        'person': person
    }) END AS described
FROM (
    SELECT frames.frame, frames.time_s, faces.* EXCLUDE (run, frame, pts, time_s)
    FROM frames LEFT JOIN faces USING (frame)
    ORDER BY frames.frame, face
)
