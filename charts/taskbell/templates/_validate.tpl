{{/* Refuses combinations that cannot work, with a message that names the remedy. The schema checks types and names. */}}
{{- define "taskbell.validate" -}}
{{- $v := .Values -}}
{{- $full := include "taskbell.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
{{- fail (printf "taskbell: %q cannot begin the names of Services: set fullnameOverride to lower-case letters, digits and dashes, a letter first." $full) -}}
{{- end -}}
{{- $taken := list -}}
{{- range $label := concat (keys $v.commonLabels) (keys $v.monitoring.serviceMonitor.labels) (keys $v.monitoring.rules.labels) (keys $v.monitoring.dashboard.labels) -}}
{{- if or (hasPrefix "app.kubernetes.io/" $label) (eq $label "helm.sh/chart") -}}{{ $taken = append $taken $label }}{{- end -}}
{{- end -}}
{{- if $taken -}}
{{- fail (printf "taskbell: the labels %s are the chart's own; take them from commonLabels and from the labels under monitoring." (join ", " $taken)) -}}
{{- end -}}
{{- if and (not $v.signingKeys.value) (not $v.signingKeys.existingSecret.name) -}}
{{- fail "taskbell: the API needs keys to sign with: set signingKeys.existingSecret.name, or signingKeys.value to what `taskbell keys new` prints." -}}
{{- end -}}
{{- if and $v.signingKeys.value (not (contains "\"keys\"" $v.signingKeys.value)) -}}
{{- fail "taskbell: signingKeys.value is no JWK Set; `taskbell keys new` prints one." -}}
{{- end -}}
{{- if eq (default .Chart.AppVersion $v.image.tag) "latest" -}}
{{- fail "taskbell: image.tag `latest` means something else tomorrow; name a version." -}}
{{- end -}}
{{- range $image, $reference := $v.image.overrides -}}
{{- if and (not (contains "@" $reference)) (or (hasSuffix ":latest" $reference) (not (contains ":" (base $reference)))) -}}
{{- fail (printf "taskbell: image.overrides.%s %q has no tag, or `latest`, which means something else tomorrow; name a version." $image $reference) -}}
{{- end -}}
{{- end -}}
{{- $external := $v.database.external -}}
{{- if and (ne $v.database.mode "external") (or $external.existingSecret $external.existingSecrets $external.admin.url $external.admin.existingSecret.name (without (values $external.urls) "")) -}}
{{- fail (printf "taskbell: database.mode is %s, but database.external names a database: set database.mode to external, or take what is under database.external away." $v.database.mode) -}}
{{- end -}}
{{- if and (ne $v.nats.mode "external") (or $v.nats.external.url $v.nats.external.existingSecret.name $v.nats.external.existingSecrets (without (values $v.nats.external.urls) "")) -}}
{{- fail (printf "taskbell: nats.mode is %s, but nats.external names a server: set nats.mode to external, or take what is under nats.external away." $v.nats.mode) -}}
{{- end -}}
{{- if and (ne $v.database.mode "external") (or $external.replicas.urls $external.replicas.existingSecret.name) -}}
{{- fail (printf "taskbell: database.mode is %s, but database.external.replicas names replicas: set database.mode to external, or use database.bundled.replicas." $v.database.mode) -}}
{{- end -}}
{{- if and (eq $v.database.mode "cloudnativepg") $v.database.cloudnativepg.readReplica (ne ($v.database.cloudnativepg.instances | int) 2) -}}
{{- fail "taskbell: database.cloudnativepg.readReplica needs database.cloudnativepg.instances 2: the Service of more replicas leads now to one, now to another, and the API could not know how far it is." -}}
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
{{- if eq $v.nats.mode "external" -}}
{{- $idle := dict "operator" (not $v.operator.enabled) "sweeper" (not $v.reminders.enabled) -}}
{{- range $program, $_ := include "taskbell.nats.users" . | fromJson -}}
{{- if not (or (get $idle $program) (include "taskbell.nats.ref" (dict "root" $ "program" $program))) -}}
{{- fail (printf "taskbell: the external NATS has no address for program %s: set nats.external.existingSecrets.%s or nats.external.urls.%s, or nats.external.existingSecret.name or nats.external.url for all." $program $program $program) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $path, $list := merge (dict "url" $v.nats.external.url) $v.nats.external.urls -}}
{{- range $url := splitList "," $list -}}
{{- if and $url (not (regexMatch "^ *(nats|tls)://[^/ ]+/? *$" $url)) -}}
{{- fail (printf "taskbell: nats.external.%s is a list of nats://user:password@host:4222 (or tls://), separated by commas." (ternary $path (printf "urls.%s" $path) (eq $path "url"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.delivery.smtp.url (not (regexMatch "^(smtp|smtps|smtp\\+starttls)://" $v.delivery.smtp.url)) -}}
{{- fail "taskbell: delivery.smtp.url must begin with smtps://, smtp+starttls:// or smtp://." -}}
{{- end -}}
{{- if and $v.public.host (not (regexMatch "^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $v.public.host)) -}}
{{- fail (printf "taskbell: public.host %q is no host name: lower-case letters, digits, dashes and dots, without https:// and without a port." $v.public.host) -}}
{{- end -}}
{{- if and (or $v.ingress.enabled $v.httpRoute.enabled) (not $v.public.host) -}}
{{- fail "taskbell: an ingress or route needs public.host, the name under which the world comes." -}}
{{- end -}}
{{- if and $v.ingress.enabled $v.public.tls (not $v.ingress.tlsSecret) (not $v.ingress.tlsElsewhere) -}}
{{- fail "taskbell: public.tls with an Ingress needs ingress.tlsSecret; set ingress.tlsElsewhere if a load balancer before it has the certificate, or public.tls to false if the world comes by http." -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "taskbell: httpRoute.parentRefs names no Gateway, so nobody would come through the route." -}}
{{- end -}}
{{- if and (not $v.operator.enabled) (or $v.delivery.pool.enabled $v.gateway.pool.enabled $v.reminders.enabled) -}}
{{- fail "taskbell: without the operator nobody reads WorkerPools and ReminderSchedules: set delivery.pool.enabled, gateway.pool.enabled and reminders.enabled to false, or operator.enabled to true." -}}
{{- end -}}
{{- if and (eq ($v.operator.replicas | int) 0) (or $v.delivery.pool.enabled $v.gateway.pool.enabled $v.reminders.enabled) -}}
{{- fail "taskbell: with operator.replicas 0 nobody keeps WorkerPools and ReminderSchedules: no reminder would fire. Set it to 1 or more." -}}
{{- end -}}
{{- if and (ne $v.nats.mode "external") (gt (dig "TASKBELL_STREAM_REPLICAS" 1 $v.relay.settings | int) 1) -}}
{{- fail "taskbell: the bundled NATS is one server, which cannot keep TASKBELL_STREAM_REPLICAS copies: set nats.mode to external, or take relay.settings.TASKBELL_STREAM_REPLICAS away." -}}
{{- end -}}
{{- range $component := list "delivery" "gateway" -}}
{{- $pool := (get $v $component).pool -}}
{{- if and $pool.enabled (gt ($pool.min | int) ($pool.max | int)) -}}
{{- fail (printf "taskbell: %s.pool.min %v is above max %v." $component $pool.min $pool.max) -}}
{{- end -}}
{{- end -}}
{{- if and $v.delivery.pool.enabled (eq $v.delivery.pool.engine "KEDA") (eq $v.nats.mode "external") (not $v.delivery.pool.keda.natsMonitoring) -}}
{{- fail "taskbell: delivery.pool.engine KEDA asks the monitoring server of the external NATS: set delivery.pool.keda.natsMonitoring." -}}
{{- end -}}
{{- if and $v.gateway.pool.enabled $v.gateway.autoscaling.enabled -}}
{{- fail "taskbell: gateway.pool and gateway.autoscaling would both set the number of gateways: switch one of them off." -}}
{{- end -}}
{{- $most := dig "TASKBELL_GATEWAY_MAX_CONNECTIONS" 12000 $v.gateway.settings | int -}}
{{- if and $v.gateway.pool.enabled (gt ($v.gateway.pool.connectionsPerReplica | int) $most) -}}
{{- fail (printf "taskbell: gateway.pool.connectionsPerReplica %v is above the %v connections that a gateway accepts (gateway.settings.TASKBELL_GATEWAY_MAX_CONNECTIONS)." ($v.gateway.pool.connectionsPerReplica | int) $most) -}}
{{- end -}}
{{- range $component := list "api" "gateway" -}}
{{- $scaling := (get $v $component).autoscaling -}}
{{- if and $scaling.enabled (gt ($scaling.minReplicas | int) ($scaling.maxReplicas | int)) -}}
{{- fail (printf "taskbell: %s.autoscaling.minReplicas %v is above maxReplicas %v." $component $scaling.minReplicas $scaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- range $component, $spec := include "taskbell.components" . | fromYaml -}}
{{- $names := list -}}
{{- range include "taskbell.environment" (dict "root" $ "component" $component "spec" $spec "values" (get $v $component)) | fromYamlArray -}}
{{- if has .name $names -}}
{{- fail (printf "taskbell: %s is set twice: take it from %s.env." .name $component) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- end -}}
