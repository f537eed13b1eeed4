//! The tables, as diesel knows them. What each column means stands in
//! `migrations/`; nothing is decided here.

diesel::table! {
    users (id) {
        id -> Uuid,
        username -> Text,
        display_name -> Text,
        disabled -> Bool,
        labels -> Jsonb,
        password_phc -> Nullable<Text>,
        password_version -> BigInt,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
        issuer -> Nullable<Text>,
        subject -> Nullable<Text>,
    }
}

diesel::table! {
    issuers (id) {
        id -> Uuid,
        name -> Text,
        issuer -> Text,
        display_name -> Text,
        audiences -> Array<Text>,
        algorithms -> Array<Text>,
        jwks_uri -> Nullable<Text>,
        jwks -> Text,
        claims -> Jsonb,
        leeway_ms -> BigInt,
        token_age_max_ms -> Nullable<BigInt>,
        creates_users -> Bool,
        sessions_end_with_token -> Bool,
        disabled -> Bool,
        fetch_begin_time -> Nullable<Timestamptz>,
        fetch_end_time -> Nullable<Timestamptz>,
        fetch_time -> Nullable<Timestamptz>,
        fetch_error -> Text,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_sha256 -> Binary,
        create_time -> Timestamptz,
        last_seen_time -> Timestamptz,
        expire_time -> Timestamptz,
        client_address -> Text,
        user_agent -> Text,
        second_factor_time -> Nullable<Timestamptz>,
        by_backend -> Bool,
        issuer_id -> Nullable<Uuid>,
        issuer_key -> Nullable<Binary>,
    }
}

diesel::table! {
    tickets (ticket_sha256) {
        ticket_sha256 -> Binary,
        session_id -> Uuid,
        origin -> Text,
        path -> Text,
        expire_time -> Timestamptz,
        used_by -> Nullable<Binary>,
        use_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sign_in_challenges (token_sha256) {
        token_sha256 -> Binary,
        user_id -> Uuid,
        password_version -> BigInt,
        lifetime_ms -> BigInt,
        client_address -> Text,
        user_agent -> Text,
        device_known -> Bool,
        expire_time -> Timestamptz,
        issuer_id -> Nullable<Uuid>,
        issuer_key -> Nullable<Binary>,
        session_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    devices (mark_sha256) {
        mark_sha256 -> Binary,
        user_id -> Uuid,
        id -> Uuid,
        password_version -> BigInt,
        seen_time -> Timestamptz,
    }
}

diesel::table! {
    device_tokens (id) {
        id -> Uuid,
        owner_id -> Uuid,
        display_name -> Text,
        token_sha256 -> Binary,
        acts -> SmallInt,
        rooms -> Array<Text>,
        expire_time -> Timestamptz,
        last_used_time -> Nullable<Timestamptz>,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    sign_in_wrongs (target, source) {
        target -> Text,
        source -> Text,
        wrong_count -> Integer,
        wrong_time -> Timestamptz,
    }
}

diesel::table! {
    second_factors (user_id) {
        user_id -> Uuid,
        secret_sealed -> Binary,
        enable_time -> Nullable<Timestamptz>,
        step_last -> BigInt,
        wrong_count -> Integer,
        wrong_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    recovery_codes (user_id, code_sha256) {
        user_id -> Uuid,
        code_sha256 -> Binary,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Uuid,
        display_name -> Text,
        secret_sha256 -> Binary,
        scopes -> Array<Text>,
        expire_time -> Nullable<Timestamptz>,
        last_used_time -> Nullable<Timestamptz>,
        version -> BigInt,
        create_time -> Timestamptz,
        previous_sha256 -> Nullable<Binary>,
        previous_until -> Nullable<Timestamptz>,
        rotate_time -> Nullable<Timestamptz>,
        by_certificate -> Bool,
    }
}

diesel::table! {
    deleted_rooms (id) {
        id -> Uuid,
        delete_time -> Timestamptz,
    }
}

diesel::table! {
    rooms (id) {
        id -> Uuid,
        name -> Text,
        owner_id -> Nullable<Uuid>,
        members_only -> Bool,
        rules -> Binary,
        password_phc -> Nullable<Text>,
        password_version -> BigInt,
        password_count -> BigInt,
        code_sealed -> Nullable<Binary>,
        code_version -> BigInt,
        code_count -> BigInt,
        hook_url -> Nullable<Text>,
        hook_deadline_ms -> Integer,
        hook_secret_sealed -> Nullable<Binary>,
        hook_version -> BigInt,
        hook_count -> BigInt,
        labels -> Jsonb,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    member_groups (room_id, name) {
        room_id -> Uuid,
        name -> Text,
        label_key -> Text,
        label_value -> Text,
        role -> Text,
        expire_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    members (room_id, user_id) {
        room_id -> Uuid,
        user_id -> Uuid,
        role -> Text,
        expire_time -> Nullable<Timestamptz>,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
        group_name -> Nullable<Text>,
        then_role -> Nullable<Text>,
        then_expire_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    room_code_uses (room_id, code_version, who) {
        room_id -> Uuid,
        code_version -> BigInt,
        who -> Text,
        step_last -> BigInt,
        wrong_count -> Integer,
        wrong_time -> Nullable<Timestamptz>,
        use_time -> Timestamptz,
    }
}

diesel::table! {
    room_blocks (id) {
        id -> Uuid,
        room_id -> Uuid,
        user_id -> Nullable<Uuid>,
        address_range -> Nullable<Text>,
        device_id -> Nullable<Uuid>,
        reason -> Text,
        expire_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
        version -> BigInt,
    }
}

diesel::table! {
    room_templates (id) {
        id -> Uuid,
        prefix -> Text,
        rules -> Binary,
        password_phc -> Nullable<Text>,
        password_version -> BigInt,
        password_count -> BigInt,
        code_sealed -> Nullable<Binary>,
        code_version -> BigInt,
        code_count -> BigInt,
        hook_url -> Nullable<Text>,
        hook_deadline_ms -> Integer,
        hook_secret_sealed -> Nullable<Binary>,
        hook_version -> BigInt,
        hook_count -> BigInt,
        labels -> Jsonb,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    guards (id) {
        id -> Uuid,
        name -> Text,
        prefix -> Text,
        audience -> Text,
        role -> Nullable<Text>,
        act -> Text,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    endpoints (id) {
        id -> Uuid,
        address -> Text,
        owner_id -> Nullable<Uuid>,
        rooms -> Array<Text>,
        access -> Text,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    audit_log (number) {
        number -> BigInt,
        chain -> Binary,
        payload -> Binary,
        time -> Timestamptz,
        actor -> Text,
        action -> Text,
    }
}

diesel::table! {
    policy_log (revision) {
        revision -> BigInt,
        chain -> Binary,
        payload -> Binary,
        time -> Timestamptz,
    }
}

diesel::table! {
    policy_pending (id) {
        id -> BigInt,
        kind -> Text,
        subject_id -> Uuid,
        user_id -> Nullable<Uuid>,
        name -> Nullable<Text>,
    }
}

diesel::table! {
    nodes (name) {
        name -> Text,
        incarnation -> Binary,
        lease_until -> Timestamptz,
        applied_revision -> BigInt,
        deliver_max_ms -> Nullable<BigInt>,
        puddles -> Integer,
        sockets -> BigInt,
        version -> Text,
        listeners -> Array<Text>,
        start_time -> Timestamptz,
        rules_known -> BigInt,
    }
}

diesel::table! {
    node_questions (id) {
        id -> Uuid,
        question -> Binary,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    node_answers (question_id, node) {
        question_id -> Uuid,
        node -> Text,
        answer -> Binary,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(sessions -> issuers (issuer_id));
diesel::joinable!(device_tokens -> users (owner_id));
diesel::joinable!(members -> rooms (room_id));
diesel::joinable!(members -> users (user_id));
diesel::joinable!(room_blocks -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(
    users,
    issuers,
    sessions,
    sign_in_challenges,
    tickets,
    devices,
    device_tokens,
    sign_in_wrongs,
    second_factors,
    recovery_codes,
    api_keys,
    rooms,
    room_code_uses,
    members,
    room_blocks,
    room_templates,
    guards,
    endpoints,
    audit_log,
    policy_log,
    policy_pending,
    nodes,
);
