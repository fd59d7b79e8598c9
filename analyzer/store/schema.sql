create extension if not exists vector;

create table if not exists analysis_jobs (
    session_id text primary key,
    status text not null check (status in ('succeeded', 'partial')),
    video_url text not null,
    decoded_ms bigint not null,
    total_ms bigint,
    decode_errors integer not null,
    model_set text,
    video jsonb not null,
    backend jsonb not null,
    models jsonb not null,
    stored_at timestamptz not null default now()
);

create table if not exists analysis_tracks (
    session_id text not null references analysis_jobs on delete cascade,
    track integer not null,
    label text not null,
    first_ms bigint not null,
    last_ms bigint not null,
    sightings integer not null,
    age_mean real,
    age_low real,
    age_high real,
    gender text,
    gender_confidence real,
    attribute_samples integer not null,
    age_model text,
    gender_model text,
    primary key (session_id, track)
);

-- Boxes are fractions of the upright picture, 0 to 1.
create table if not exists analysis_detections (
    session_id text not null references analysis_jobs on delete cascade,
    pts_ms bigint not null,
    det integer not null,
    track integer,
    label text not null,
    score real not null,
    source text not null,
    box_left real not null,
    box_top real not null,
    box_width real not null,
    box_height real not null,
    face_of integer,
    primary key (session_id, pts_ms, det)
);

-- Each space has its own dimension, so an HNSW index is made per space over (v::halfvec(n)), after loading:
-- on the write path it would make COPY some sixty times slower.
create table if not exists analysis_embeddings (
    session_id text not null references analysis_jobs on delete cascade,
    space text not null,
    track integer not null,
    kind text not null,
    pts_ms bigint not null,
    dimension integer not null,
    v halfvec not null check (vector_dims(v) = dimension),
    primary key (space, session_id, track)
);
