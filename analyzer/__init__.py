"""The video-analysis job: people, their age and gender per track, from one video to one result document."""
