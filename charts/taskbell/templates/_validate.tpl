{{/* Combinations that cannot work, each told in a sentence with its remedy. Types and names are the schema's. */}}
{{- define "taskbell.validate" -}}
{{- $v := .Values -}}
{{- if and (not $v.signingKeys.value) (not $v.signingKeys.existingSecret.name) -}}
{{- fail "taskbell: the API needs keys to sign with: set signingKeys.existingSecret.name, or signingKeys.value to what `taskbell keys new` prints." -}}
{{- end -}}
{{- if and $v.signingKeys.value (not (contains "\"keys\"" $v.signingKeys.value)) -}}
{{- fail "taskbell: signingKeys.value is no JWK Set; `taskbell keys new` prints one." -}}
{{- end -}}
{{- if eq (default .Chart.AppVersion $v.image.tag) "latest" -}}
{{- fail "taskbell: image.tag `latest` means something else tomorrow; name a version." -}}
{{- end -}}
{{- if eq $v.database.mode "external" -}}
{{- range $role := include "taskbell.roles" . | fromYamlArray -}}
{{- $ref := include "taskbell.database.ref" (dict "root" $ "role" $role) | fromJson -}}
{{- $own := eq $ref.name (printf "%s-database-%s" (include "taskbell.fullname" $) $role) -}}
{{- $url := get $v.database.external.urls $role -}}
{{- if and $own (not $url) -}}
{{- fail (printf "taskbell: the external database has no address for role %s: set database.external.existingSecret, database.external.existingSecrets.%s or database.external.urls.%s." $role $role $role) -}}
{{- end -}}
{{- if and $own (not (hasPrefix (printf "postgresql://taskbell_%s:" $role) $url)) -}}
{{- fail (printf "taskbell: database.external.urls.%s must begin with postgresql://taskbell_%s: and hold that role's password." $role $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.database.mode "cloudnativepg") (not (.Capabilities.APIVersions.Has "postgresql.cnpg.io/v1")) (lookup "v1" "Namespace" "" .Release.Namespace) -}}
{{- fail "taskbell: database.mode is cloudnativepg, but its operator is not in this cluster: install it first or choose another mode." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "external") (not $v.nats.external.url) (not $v.nats.external.existingSecret.name) -}}
{{- fail "taskbell: the external NATS has no address: set nats.external.existingSecret.name or nats.external.url." -}}
{{- end -}}
{{- if and (or $v.ingress.enabled $v.httpRoute.enabled) (not $v.public.host) -}}
{{- fail "taskbell: an ingress or route needs public.host, the name under which the world comes." -}}
{{- end -}}
{{- if and $v.ingress.enabled $v.public.tls (not $v.ingress.tlsSecret) -}}
{{- fail "taskbell: public.tls with an Ingress needs ingress.tlsSecret; set public.tls to false if the world comes by http." -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "taskbell: httpRoute.parentRefs names no Gateway, so nobody would come through the route." -}}
{{- end -}}
{{- if and (not $v.operator.enabled) (or $v.delivery.pool.enabled $v.reminders.enabled) -}}
{{- fail "taskbell: without the operator nobody reads WorkerPools and ReminderSchedules: set delivery.pool.enabled and reminders.enabled to false, or operator.enabled to true." -}}
{{- end -}}
{{- if and $v.delivery.pool.enabled (gt ($v.delivery.pool.min | int) ($v.delivery.pool.max | int)) -}}
{{- fail (printf "taskbell: delivery.pool.min %v is above max %v." $v.delivery.pool.min $v.delivery.pool.max) -}}
{{- end -}}
{{- range $component := list "api" "gateway" -}}
{{- $scaling := (get $v $component).autoscaling -}}
{{- if and $scaling.enabled (gt ($scaling.minReplicas | int) ($scaling.maxReplicas | int)) -}}
{{- fail (printf "taskbell: %s.autoscaling.minReplicas %v is above maxReplicas %v." $component $scaling.minReplicas $scaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
