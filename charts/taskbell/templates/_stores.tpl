{{/* Where PostgreSQL, NATS and the keys are, and which Secrets say so. */}}

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

{{/* A password for a role: from database.password, else the one of the earlier revision, else a new one. */}}
{{- define "taskbell.database.password" -}}
{{- if .root.Values.database.password -}}
{{- printf "%s/%s" .root.Values.database.password .role | sha256sum | trunc 40 -}}
{{- else -}}
{{- $name := printf "%s-database-%s" (include "taskbell.fullname" .root) .role -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace $name -}}
{{- if $found -}}{{ index $found.data "password" | b64dec }}{{- else -}}{{ randAlphaNum 40 }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "taskbell.nats.password" -}}
{{- if .Values.nats.password -}}{{ .Values.nats.password }}
{{- else -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace (printf "%s-nats" (include "taskbell.fullname" .)) -}}
{{- if $found -}}{{ index $found.data "password" | b64dec }}{{- else -}}{{ randAlphaNum 40 }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "taskbell.nats.ref" -}}
{{- $existing := .Values.nats.external.existingSecret -}}
{{- if and (eq .Values.nats.mode "external") $existing.name -}}{{ toJson $existing }}
{{- else -}}{{ dict "name" (printf "%s-nats" (include "taskbell.fullname" .)) "key" "url" | toJson }}
{{- end -}}
{{- end -}}

{{- define "taskbell.signingKeys.ref" -}}
{{- $existing := .Values.signingKeys.existingSecret -}}
{{- if $existing.name -}}{{ toJson $existing }}
{{- else -}}{{ dict "name" (printf "%s-signing-keys" (include "taskbell.fullname" .)) "key" "keys" | toJson }}
{{- end -}}
{{- end -}}

{{/* The mail relay, if there is one. */}}
{{- define "taskbell.smtp.ref" -}}
{{- $smtp := .Values.delivery.smtp -}}
{{- if $smtp.existingSecret.name -}}{{ toJson $smtp.existingSecret }}
{{- else if $smtp.url -}}{{ dict "name" (printf "%s-smtp" (include "taskbell.fullname" .)) "key" "url" | toJson }}
{{- end -}}
{{- end -}}

{{/* Whether roles are made before the migrations, and with whose URL. */}}
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
