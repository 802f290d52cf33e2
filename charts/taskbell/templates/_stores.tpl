{{/* Where PostgreSQL, NATS and the keys are, and the Secrets that hold their addresses. */}}

{{- define "taskbell.roles" -}}
[owner, api, relay, gateway, sweeper, delivery]
{{- end -}}

{{- define "taskbell.database.host" -}}
{{- if eq .Values.database.mode "cloudnativepg" -}}{{ include "taskbell.fullname" . }}-database-rw
{{- else -}}{{ include "taskbell.fullname" . }}-postgresql
{{- end -}}
{{- end -}}

{{/* Name and key of the Secret that holds a role's URL, as a secretKeyRef. */}}
{{- define "taskbell.database.ref" -}}
{{- $external := .root.Values.database.external -}}
{{- $own := dict "name" (printf "%s-database-%s" (include "taskbell.fullname" .root) .role) "key" "url" -}}
{{- if ne .root.Values.database.mode "external" -}}{{ toJson $own }}
{{- else if hasKey $external.existingSecrets .role -}}{{ get $external.existingSecrets .role | toJson }}
{{- else if $external.existingSecret -}}{{ dict "name" $external.existingSecret "key" .role | toJson }}
{{- else -}}{{ toJson $own }}
{{- end -}}
{{- end -}}

{{/* Name and key of the Secret with the URLs of the replicas from which the API reads; nothing without replicas. */}}
{{- define "taskbell.database.replicas.ref" -}}
{{- $replicas := .Values.database.external.replicas -}}
{{- $own := dict "name" (printf "%s-database-replicas" (include "taskbell.fullname" .)) "key" "urls" | toJson -}}
{{- if eq .Values.database.mode "external" -}}
{{- if $replicas.existingSecret.name -}}{{ toJson $replicas.existingSecret }}
{{- else if $replicas.urls -}}{{ $own }}
{{- end -}}
{{- else if and (eq .Values.database.mode "bundled") (gt (.Values.database.bundled.replicas | int) 0) -}}{{ $own }}
{{- else if and (eq .Values.database.mode "cloudnativepg") .Values.database.cloudnativepg.readReplica -}}{{ $own }}
{{- end -}}
{{- end -}}

{{/* The password that an earlier revision put into a Secret; nothing where Helm cannot look into the cluster. */}}
{{- define "taskbell.password.kept" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace (printf "%s-%s" (include "taskbell.fullname" .root) .secret) -}}
{{- dig "data" "password" "" ($found | default dict) | b64dec -}}
{{- end -}}

{{/* A password derived from another one. It begins with a letter and has no special characters of URLs or of NATS' parser. */}}
{{- define "taskbell.password.derived" -}}
{{- with .given -}}p{{ printf "%s/%s" . $.purpose | sha256sum | trunc 40 }}{{- end -}}
{{- end -}}

{{/* A role's password: derived from database.password, else the present one, else a new one. */}}
{{- define "taskbell.database.password" -}}
{{- $kept := include "taskbell.password.kept" (dict "root" .root "secret" (printf "database-%s" .role)) -}}
{{- $derived := include "taskbell.password.derived" (dict "given" .root.Values.database.password "purpose" .role) -}}
{{- if eq .role "admin" -}}
{{- /* Set once, when the data is created; every revision uses it to set the other roles' passwords. */ -}}
{{- coalesce $kept $derived (randAlpha 40) -}}
{{- else -}}
{{- coalesce $derived $kept (randAlpha 40) -}}
{{- end -}}
{{- end -}}

{{/* The users of NATS, by program, with their permissions. */}}
{{- define "taskbell.nats.users" -}}
{{ .Files.Get "files/nats-users.json" }}
{{- end -}}

{{/* The password of a user of the bundled NATS. secret: nats, or nats-<program>. */}}
{{- define "taskbell.nats.password" -}}
{{- $purpose := replace "nats-" "nats/" .secret -}}
{{- $derived := include "taskbell.password.derived" (dict "given" .root.Values.nats.password "purpose" $purpose) -}}
{{- coalesce $derived (include "taskbell.password.kept" .) (randAlpha 40) -}}
{{- end -}}

{{/* Name and key of the Secret that holds a program's URL of NATS, as a secretKeyRef. */}}
{{- define "taskbell.nats.ref" -}}
{{- $full := include "taskbell.fullname" .root -}}
{{- $external := .root.Values.nats.external -}}
{{- $own := dict "name" (printf "%s-nats-%s" $full .program) "key" "url" -}}
{{- if ne .root.Values.nats.mode "external" -}}{{ toJson $own }}
{{- else if hasKey $external.existingSecrets .program -}}{{ get $external.existingSecrets .program | toJson }}
{{- else if get $external.urls .program -}}{{ toJson $own }}
{{- else if $external.existingSecret.name -}}{{ toJson $external.existingSecret }}
{{- else if $external.url -}}{{ dict "name" (printf "%s-nats" $full) "key" "url" | toJson }}
{{- end -}}
{{- end -}}

{{- define "taskbell.signingKeys.ref" -}}
{{- $existing := .Values.signingKeys.existingSecret -}}
{{- if $existing.name -}}{{ toJson $existing }}
{{- else -}}{{ dict "name" (printf "%s-signing-keys" (include "taskbell.fullname" .)) "key" "keys" | toJson }}
{{- end -}}
{{- end -}}

{{/* The mail server, if there is one. */}}
{{- define "taskbell.smtp.ref" -}}
{{- $smtp := .Values.delivery.smtp -}}
{{- if $smtp.existingSecret.name -}}{{ toJson $smtp.existingSecret }}
{{- else if $smtp.url -}}{{ dict "name" (printf "%s-smtp" (include "taskbell.fullname" .)) "key" "url" | toJson }}
{{- end -}}
{{- end -}}

{{/* Whether the Job creates roles before the migrations, and with which URL. */}}
{{- define "taskbell.database.admin" -}}
{{- $admin := .Values.database.external.admin -}}
{{- if ne .Values.database.mode "external" -}}yes
{{- else if or $admin.url $admin.existingSecret.name -}}yes
{{- end -}}
{{- end -}}

{{- define "taskbell.database.adminEnv" -}}
{{- $admin := .Values.database.external.admin -}}
{{- $full := include "taskbell.fullname" . -}}
{{- if eq .Values.database.mode "external" }}
- name: TASKBELL_ADMIN_DATABASE_URL
  valueFrom:
    secretKeyRef: {{ ternary $admin.existingSecret (dict "name" (printf "%s-database-admin" $full) "key" "url") (ne $admin.existingSecret.name "") | toJson }}
{{- else }}
- name: ADMIN_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $full }}-database-{{ ternary "superuser" "admin" (eq .Values.database.mode "cloudnativepg") }}
      key: password
- name: TASKBELL_ADMIN_DATABASE_URL
  value: postgresql://postgres:$(ADMIN_PASSWORD)@{{ include "taskbell.database.host" . }}:5432/postgres
{{- end }}
{{- end -}}
